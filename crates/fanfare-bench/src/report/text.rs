//! The report as text: a Markdown table, then what stands behind its rows.

use std::fmt;

use super::{Outcome, Report, Verdict};

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(
            out,
            "{}: {}, {} cores, {} MiB, Linux {}",
            machine.date, machine.cpu, machine.cores, machine.memory_mib, machine.kernel
        )?;
        writeln!(
            out,
            "{}: server on core {}, loader on core {}, {} pairs{}",
            self.server,
            self.server_core,
            self.loader_core,
            self.pairs,
            (self.seconds).map_or_else(String::new, |time| format!(" of {time} s runs"))
        )?;
        for warning in self.warnings() {
            writeln!(out, "WARNING: {warning}")?;
        }
        writeln!(out)?;
        writeln!(
            out,
            "| scenario | figure | min / q1 / median / q3 / max | must | aim | |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|")?;
        for outcome in &self.outcomes {
            row(out, outcome)?;
        }
        for outcome in &self.outcomes {
            writeln!(out, "\n{}", outcome.name)?;
            for line in &outcome.details {
                writeln!(out, "- {line}")?;
            }
            for note in &outcome.notes {
                writeln!(out, "- NOTE: {note}")?;
            }
        }
        Ok(())
    }
}

fn row(out: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    let spread = &outcome.spread;
    write!(
        out,
        "| {} | {:.3} {} | {:.3} / {:.3} / {:.3} / {:.3} / {:.3} |",
        outcome.name,
        outcome.value,
        outcome.unit,
        spread.min,
        spread.q1,
        spread.median,
        spread.q3,
        spread.max
    )?;
    let verdict = match outcome.verdict {
        Some(Verdict::Aim) => "pass, aim reached",
        Some(Verdict::Pass) => "pass",
        Some(Verdict::Miss) => "**miss**",
        None => "",
    };
    match outcome.bar {
        Some(bar) => {
            let sign = if bar.higher_is_better { ">=" } else { "<=" };
            write!(out, " {sign} {} |", bar.must)?;
            match bar.aim {
                Some(aim) => write!(out, " {sign} {aim} |")?,
                None => write!(out, " |")?,
            }
            writeln!(out, " {verdict} |")
        }
        None => writeln!(out, " | | |"),
    }
}
