//! What must be computed: traces, importers and workload presets.

pub mod request;
