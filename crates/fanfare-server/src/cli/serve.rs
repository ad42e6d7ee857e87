//! `fanfare serve`: what is done once, before the server runs.

use anyhow::Context as _;

use super::{Exit, Failed};
use crate::config::{Loaded, LogFormat, Settings};
use crate::{allocator, fd_limit, logging};

/// Runs the server until it is told to stop.
pub(super) fn run(loaded: Loaded) -> Result<(), Failed> {
    let mut settings = loaded.settings;
    let allocator = allocator::give_back_unused();
    let logging = logging::init(&settings.log).context("starting the log")?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if let Err(error) = allocator {
        tracing::warn!(%error, "unused memory goes back to the system only while there is traffic");
    }
    fd_limit::prepare(&mut settings.limits);
    make_key(&mut settings).context("making an API key")?;
    if settings.api.keys.is_empty() {
        tracing::warn!("api.keys is empty: the HTTP API answers 401 to every request");
    }
    actix_rt::System::new()
        .block_on(crate::serve::run(settings, &logging))
        .map_err(|error| Failed::new(Exit::Failure, format_args!("{error:#}")))
}

/// Without a key nobody could use the API. One is made only where the banner shows it: with JSON
/// logs it would be a secret that nobody knows.
fn make_key(settings: &mut Settings) -> Result<(), getrandom::Error> {
    if settings.api.keys.is_empty() && settings.log.format == LogFormat::Text {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        settings.api.keys.push(hex::encode(bytes));
        settings.api.made = true;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Sources};

    fn settings(sets: &[&str]) -> Settings {
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        config::load(&Sources {
            sets,
            ..Sources::default()
        })
        .expect("valid")
        .settings
    }

    #[test]
    fn a_key_is_made_when_none_is_configured_and_the_banner_shows_it() {
        let mut settings = settings(&[]);
        make_key(&mut settings).expect("random bytes");
        assert!(settings.api.made);
        assert!(matches!(settings.api.keys.as_slice(), [key] if key.len() == 32));
    }

    #[test]
    fn no_key_is_made_beside_a_configured_one_or_with_json_logs() {
        for sets in [["api.keys=mine"], ["log.format=json"]] {
            let mut settings = settings(&sets);
            let before = settings.api.keys.clone();
            make_key(&mut settings).expect("random bytes");
            assert_eq!(settings.api.keys, before);
            assert!(!settings.api.made);
        }
    }
}
