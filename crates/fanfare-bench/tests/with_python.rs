//! The lines with Python, with small numbers: a real Redis, real nodes, unmodified channels_redis.

use std::process::Command;

use serde_json::Value;

#[test]
fn nodes_and_python_processes_get_every_event_of_a_python_producer() {
    let output = Command::new(env!("CARGO_BIN_EXE_fanfare-bench"))
        .args(["channels", "--quick", "--json"])
        .args(["--sessions", "300", "--sends", "30", "--events", "5000"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let outcomes = report["outcomes"].as_array().unwrap();
    let names: Vec<&Value> = outcomes.iter().map(|outcome| &outcome["name"]).collect();
    assert_eq!(
        names,
        [
            "channels-producer",
            "channels-intake-core",
            "channels-intake-pubsub"
        ]
    );
    let runs = |line: usize, side: &str| outcomes[line]["runs"][side].as_array().unwrap().clone();
    for side in ["sessions", "python"] {
        let times = runs(0, side)[0].as_array().unwrap().clone();
        assert_eq!(times.len(), 3, "{stderr}");
        assert!(times.iter().all(|time| time.as_f64().unwrap() > 0.0));
    }
    for line in [1, 2] {
        assert_eq!(runs(line, "node")[0]["events"], 2500, "five times");
        assert_eq!(runs(line, "python")[0]["events"], 500);
    }
}
