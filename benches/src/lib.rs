//! Criterion benchmarks of codecs and data structures; see `benches/`.
