//! Criterion benchmarks of codecs and data structures, see `benches/`; and in `src/bin/` the server
//! that `fanfare-bench` measures consumers with.
