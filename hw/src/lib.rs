//! What a machine is: parameter records of every unit and design.
//!
//! A record exists twice: *raw*, as a user writes it in TOML, and *checked*, with every width and
//! depth derived. Models and generators accept only checked records.

pub mod spatten;
