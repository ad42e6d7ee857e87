//! Reading what `/metrics` says.

use std::collections::BTreeSet;

/// One scrape in the text exposition format.
#[derive(Debug, Clone)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    /// Takes the body of a scrape.
    pub fn new(text: String) -> Self {
        Self { text }
    }

    /// The sum of the samples called `name` that carry all of `labels`; 0 when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.samples()
            .filter_map(|line| sample(line, name, labels))
            .sum()
    }

    /// Whether a sample called `name` carries all of `labels`.
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.samples()
            .any(|line| sample(line, name, labels).is_some())
    }

    /// The names declared by `# TYPE` lines.
    pub fn names(&self) -> BTreeSet<String> {
        let lines = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        lines
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect()
    }

    /// The whole text, for messages.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn samples(&self) -> impl Iterator<Item = &str> {
        self.text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
    }
}

fn sample(line: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let (series, value) = line.rsplit_once(' ')?;
    let (found, tags) = series.split_once('{').unwrap_or((series, ""));
    let tags = tags.trim_end_matches('}');
    let carries = |(key, value): &(&str, &str)| {
        let wanted = format!("{key}=\"{value}\"");
        tags.split("\",")
            .any(|tag| format!("{}\"", tag.trim_end_matches('"')) == wanted)
    };
    (found == name && labels.iter().all(carries)).then(|| value.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let scrape = Metrics::new(
            "# HELP a_total help\n# TYPE a_total counter\n\
             a_total{reason=\"x\",node=\"1\"} 2\na_total{reason=\"y\",node=\"1\"} 3\nb 1.5\n"
                .to_owned(),
        );
        assert!((scrape.sum("a_total", &[]) - 5.0).abs() < 1e-9);
        assert!((scrape.sum("a_total", &[("reason", "x")]) - 2.0).abs() < 1e-9);
        assert!((scrape.sum("a_total", &[("node", "1"), ("reason", "y")]) - 3.0).abs() < 1e-9);
        assert!((scrape.sum("b", &[]) - 1.5).abs() < 1e-9);
        assert!(!scrape.has("a_total", &[("reason", "z")]));
        assert!(scrape.names().contains("a_total") && scrape.names().len() == 1);
    }
}
