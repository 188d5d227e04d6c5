mod attention;
pub use attention::{Attended, Attention, AttentionError, Dense, Projected, Recorded};
