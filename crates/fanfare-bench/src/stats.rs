//! Medians and spreads.

use std::time::Duration;

use serde::Serialize;

/// Where the values of one figure lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// Smallest.
    pub(crate) min: f64,
    /// A quarter lies below.
    pub(crate) q1: f64,
    /// Half lies below.
    pub(crate) median: f64,
    /// A quarter lies above.
    pub(crate) q3: f64,
    /// Largest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value; `None` of none. Values between two are interpolated.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            min: quantile(&sorted, 0.0)?,
            q1: quantile(&sorted, 0.25)?,
            median: quantile(&sorted, 0.5)?,
            q3: quantile(&sorted, 0.75)?,
            max: quantile(&sorted, 1.0)?,
        })
    }
}

/// Latencies of one run, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// How many were measured.
    pub(crate) count: usize,
    /// Half were faster.
    pub(crate) p50_ms: f64,
    /// One in a hundred was slower.
    pub(crate) p99_ms: f64,
    /// The slowest.
    pub(crate) max_ms: f64,
}

impl Latency {
    /// Of at least one measurement; `None` of none.
    pub(crate) fn of(times: &[Duration]) -> Option<Self> {
        let mut millis: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        millis.sort_by(f64::total_cmp);
        Some(Self {
            count: millis.len(),
            p50_ms: quantile(&millis, 0.5)?,
            p99_ms: quantile(&millis, 0.99)?,
            max_ms: quantile(&millis, 1.0)?,
        })
    }
}

fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let below = sorted.get(place.floor() as usize)?;
    let above = sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_eleven_values_is_five_of_them() {
        let values = [11.0, 1.0, 2.0, 10.0, 3.0, 9.0, 4.0, 8.0, 5.0, 7.0, 6.0];
        let spread = Spread::of(&values).unwrap();
        assert_eq!(
            spread,
            Spread {
                min: 1.0,
                q1: 3.5,
                median: 6.0,
                q3: 8.5,
                max: 11.0
            }
        );
    }

    #[test]
    fn an_even_number_of_values_has_its_median_between_two() {
        assert_eq!(Spread::of(&[4.0, 1.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of(&[7.0]).unwrap().q3, 7.0);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn one_outlier_in_a_thousand_moves_the_maximum_but_not_the_p99() {
        let mut times = vec![Duration::from_millis(2); 999];
        times.push(Duration::from_millis(500));
        let latency = Latency::of(&times).unwrap();
        assert_eq!(
            (latency.p50_ms, latency.p99_ms, latency.max_ms),
            (2.0, 2.0, 500.0)
        );
    }
}
