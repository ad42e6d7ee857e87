//! What the server counts beside its node and layer: questions to the application, and itself as a
//! build and as a process.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::StatusCode;
use fanfare_layer::Metrics;
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    Counter, Gauge, Histogram, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// The HTTP side's counters; clones count together.
#[derive(Clone)]
pub(crate) struct HttpMetrics {
    requests: IntCounterVec,
    wrong_keys: IntCounterVec,
}

impl HttpMetrics {
    /// Creates them in a registry, with those of the build and the process.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let build = Opts::new(
            "fanfare_build_info",
            "Always 1; the labels say what runs here.",
        );
        let build = IntGaugeVec::new(build, &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Metrics(registry);
        metrics.register(build)?;
        registry.register(Box::new(ProcessMetrics::new()?))?;
        let requests = metrics.family(
            "fanfare_http_requests_total",
            "Requests answered, handshakes too.",
            "status",
        )?;
        let wrong_keys = metrics.family(
            "fanfare_http_wrong_keys_total",
            "Requests with an unknown API key.",
            "status",
        )?;
        for status in [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS] {
            wrong_keys.with_label_values(&[status.as_str()]);
        }
        Ok(Self {
            requests,
            wrong_keys,
        })
    }

    /// Counts a wrong key by how it was answered.
    pub(crate) fn wrong_key(&self, status: StatusCode) {
        self.wrong_keys.with_label_values(&[status.as_str()]).inc();
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, status: StatusCode) {
        self.requests.with_label_values(&[status.as_str()]).inc();
    }
}

/// What is counted about authentication; clones count together.
#[derive(Clone)]
pub(crate) struct AuthMetrics {
    requests: IntCounterVec,
    hits: IntCounter,
    seconds: Histogram,
}

/// How a question to the application ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AuthOutcome {
    Abandoned,
    Accepted,
    BadAnswer,
    Busy,
    Refused,
    Timeout,
    Unreachable,
}

impl AuthMetrics {
    /// Creates them in a registry, all at zero.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Metrics(registry);
        let requests = metrics.family(
            "fanfare_auth_requests_total",
            "Questions to the application's authentication URL.",
            "outcome",
        )?;
        for outcome in AuthOutcome::ALL {
            requests.with_label_values(&[outcome.text()]);
        }
        let hits = metrics.counter(
            "fanfare_auth_cache_hits_total",
            "Handshakes decided without a question of their own.",
        )?;
        let seconds = metrics.histogram(
            "fanfare_auth_seconds",
            "From a question to its end, with the wait for a turn.",
            prometheus::DEFAULT_BUCKETS.to_vec(),
        )?;
        Ok(Self {
            requests,
            hits,
            seconds,
        })
    }

    /// Counts a question that has ended.
    pub(crate) fn asked(&self, outcome: AuthOutcome, took: Duration) {
        self.requests.with_label_values(&[outcome.text()]).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts a handshake that needed no question of its own.
    pub(crate) fn hit(&self) {
        self.hits.inc();
    }
}

impl AuthOutcome {
    const ALL: [Self; 7] = [
        Self::Abandoned,
        Self::Accepted,
        Self::BadAnswer,
        Self::Busy,
        Self::Refused,
        Self::Timeout,
        Self::Unreachable,
    ];

    /// The label.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Accepted => "accepted",
            Self::BadAnswer => "bad_answer",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
        }
    }
}

/// The process as its system sees it, read when it is asked for, under the names that Prometheus
/// gives to every process.
struct ProcessMetrics {
    gauges: Mutex<ProcessGauges>,
    descriptions: Vec<Desc>,
}

struct ProcessGauges {
    cpu: Counter,
    resident: Gauge,
    virtual_size: Gauge,
    threads: Gauge,
    open_descriptors: Gauge,
    max_descriptors: Gauge,
    start: Gauge,
}

impl ProcessMetrics {
    fn new() -> prometheus::Result<Self> {
        let gauges = ProcessGauges {
            cpu: Counter::new("process_cpu_seconds_total", "CPU time, user and system.")?,
            resident: Gauge::new("process_resident_memory_bytes", "Resident memory.")?,
            virtual_size: Gauge::new("process_virtual_memory_bytes", "Virtual memory.")?,
            threads: Gauge::new("process_threads", "Threads.")?,
            open_descriptors: Gauge::new("process_open_fds", "Open file descriptors.")?,
            max_descriptors: Gauge::new("process_max_fds", "Most file descriptors.")?,
            start: Gauge::new(
                "process_start_time_seconds",
                "Start of the process, Unix time.",
            )?,
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        gauges.start.set(now.as_secs_f64());
        let descriptions = gauges
            .all()
            .into_iter()
            .flat_map(Collector::desc)
            .cloned()
            .collect();
        Ok(Self {
            gauges: Mutex::new(gauges),
            descriptions,
        })
    }
}

impl Collector for ProcessMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let gauges = self.gauges.lock();
        gauges.read();
        gauges
            .all()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

impl ProcessGauges {
    fn all(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu,
            &self.resident,
            &self.virtual_size,
            &self.threads,
            &self.open_descriptors,
            &self.max_descriptors,
            &self.start,
        ]
    }

    /// What the system does not tell keeps its last value.
    fn read(&self) {
        let used = clock_gettime(ClockId::ProcessCPUTime);
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds of one process are far below 2^52"
        )]
        let seconds = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
        self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            self.max_descriptors.set(limit as f64);
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        if let Some(open) = open_descriptors() {
            self.open_descriptors.set(open as f64);
        }
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            const KIB: f64 = 1024.0;
            let set = |gauge: &Gauge, key: &str, unit: f64| {
                if let Some(value) = field(&status, key) {
                    gauge.set(value * unit);
                }
            };
            set(&self.resident, "VmRSS:", KIB);
            set(&self.virtual_size, "VmSize:", KIB);
            set(&self.threads, "Threads:", 1.0);
        }
    }
}

/// Linux tells their number since 6.2; before that they have to be listed, which takes a microsecond
/// for each.
fn open_descriptors() -> Option<u64> {
    let directory = "/proc/self/fd";
    match fs::metadata(directory).map(|it| it.len()) {
        Ok(number) if number > 0 => Some(number),
        // One of them is the directory that is read.
        _ => Some(fs::read_dir(directory).ok()?.skip(1).count() as u64),
    }
}

/// The number behind a key of `/proc/<pid>/status`.
fn field(status: &str, key: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_and_its_build_are_described_with_values() {
        let registry = Registry::new();
        let http = HttpMetrics::new(&registry).unwrap();
        http.answered(StatusCode::NOT_FOUND);
        let families = registry.gather();
        let value = |name: &str| {
            let family = families
                .iter()
                .find(|family| family.name() == name)
                .unwrap();
            let metric = &family.get_metric()[0];
            metric
                .get_gauge()
                .get_value()
                .max(metric.get_counter().get_value())
        };
        assert_eq!(value("fanfare_build_info"), 1.0);
        assert_eq!(value("fanfare_http_requests_total"), 1.0);
        assert!(value("process_start_time_seconds") > 1e9);
        assert!(value("process_cpu_seconds_total") > 0.0);
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") > 1e6);
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
    }
}
