//! End-to-end tests: see `e2e/`. This crate is a home for them and has nothing to offer itself.
