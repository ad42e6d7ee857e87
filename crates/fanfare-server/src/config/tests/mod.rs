//! The whole way, from texts to settings or to the list of errors.

mod documents;
mod groups;
mod layer;
mod refusals;
mod routes;
mod sources;

use super::*;

fn sources(file: &str, environment: &[(&str, &str)], sets: &[&str]) -> Sources {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Sources {
        file: Some(("my.toml".to_owned(), file.to_owned())),
        environment: environment.iter().map(pair).collect(),
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
        host_name: "host".to_owned(),
    }
}

fn settings(file: &str, environment: &[(&str, &str)], sets: &[&str]) -> Settings {
    load(&sources(file, environment, sets))
        .unwrap_or_else(|error| panic!("{error}"))
        .settings
}

/// The lines of the error, without the first, which counts them.
fn errors(file: &str, environment: &[(&str, &str)], sets: &[&str]) -> Vec<String> {
    let error = load(&sources(file, environment, sets)).expect_err("a wrong configuration");
    let text = error.to_string();
    let mut lines = text.lines();
    let count: usize = lines
        .next()
        .and_then(|first| first.split_whitespace().find_map(|word| word.parse().ok()))
        .expect("a count");
    let lines: Vec<String> = lines.map(|line| line.trim_start().to_owned()).collect();
    assert_eq!(count, lines.len(), "{text}");
    lines
}

/// The one error of `--set`s.
fn refusal(sets: &[&str]) -> String {
    let lines = errors("", &[], sets);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.into_iter().next().unwrap()
}
