//! The whole path with small numbers: the limit measured against itself.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fanfare-bench"))
        .args(arguments)
        .args([
            "--server-kind",
            "limit",
            "--seconds",
            "0.2",
            "--pairs",
            "2",
            "--tries",
            "1",
            "--json",
        ])
        .output()
        .unwrap()
}

fn measure(arguments: &[&str]) -> Value {
    let output = bench(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["outcomes"][0].clone()
}

fn tallies(outcome: &Value) -> Vec<(u64, u64)> {
    let runs = |side: &str| outcome["runs"][side].as_array().unwrap().clone();
    runs("product")
        .iter()
        .chain(&runs("baseline"))
        .map(|run| {
            let tally = &run["tally"];
            (
                tally["published"].as_u64().unwrap(),
                tally["delivered"].as_u64().unwrap(),
            )
        })
        .collect()
}

#[test]
fn every_message_in_flight_alone_is_counted_once_for_each_member() {
    let outcome = measure(&["fan-out", "--members", "20"]);
    let tallies = tallies(&outcome);
    assert_eq!(tallies.len(), 4);
    for (published, delivered) in tallies {
        assert!(published > 10, "{outcome}");
        assert_eq!(delivered, published * 20);
    }
    assert!(outcome["value"].as_f64().unwrap() > 0.0);
    assert_eq!(outcome["samples"].as_array().unwrap().len(), 2);
}

#[test]
fn every_message_of_a_burst_is_counted_once_for_each_member() {
    let outcome = measure(&["fan-out", "--members", "20", "--in-flight", "64"]);
    for (published, delivered) in tallies(&outcome) {
        assert!(published > 64, "{outcome}");
        assert_eq!(delivered, published * 20);
    }
}

#[test]
fn every_round_trip_is_counted_once() {
    let outcome = measure(&["round-trip", "--sessions", "10"]);
    for (published, delivered) in tallies(&outcome) {
        assert!(published > 10, "{outcome}");
        assert_eq!(delivered, published);
    }
}

#[test]
fn echoes_are_timed_while_a_group_is_written_to() {
    let outcome = measure(&["fairness", "--members", "50"]);
    let run = &outcome["runs"]["product"][0];
    assert!(run["flooded"]["count"].as_u64().unwrap() > 10, "{run}");
    assert!(run["published"].as_u64().unwrap() > 10, "{run}");
    let (p50, max) = (&run["flooded"]["p50_ms"], &run["flooded"]["max_ms"]);
    assert!(0.0 < p50.as_f64().unwrap() && p50.as_f64().unwrap() <= max.as_f64().unwrap());
}

#[test]
fn a_consumer_is_measured_against_the_limit_and_beside_a_route() {
    let outcome = measure(&["compare", "--scenario", "consumer-events-64"]);
    let runs = &outcome["runs"];
    let beside = &runs["beside"][0]["runs"];
    for (side, runs) in [(0, &runs["product"]), (1, &runs["baseline"]), (2, beside)] {
        assert_eq!(runs.as_array().unwrap().len(), 2, "{side}: {outcome}");
    }
    let details = outcome["details"].to_string();
    assert!(details.contains(" of limit"), "{details}");
}

#[test]
fn consumers_that_have_not_been_built_are_known_before_anything_is_measured() {
    let server = env!("CARGO_BIN_EXE_fanfare-bench");
    let output = Command::new(server)
        .args(["compare", "--server", server])
        .args(["--consumers", "/nonexistent/consumers"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.starts_with("Error: no server at /nonexistent/consumers")
            && stderr.contains("cargo build --release --bins -p fanfare-benches"),
        "{stderr}"
    );
}

#[test]
fn a_server_that_cannot_be_started_is_an_error_that_names_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_fanfare-bench"))
        .args(["fan-out", "--server", "/nonexistent/fanfare"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && stderr.contains("/nonexistent/fanfare"),
        "{stderr}"
    );
}
