//! What a machine is: parameter records of every unit and design.
//!
//! A record exists twice: *raw*, as a user writes it in TOML, and *checked*, with every width and
//! depth derived. Models and generators accept only checked records.
//!
//! ```
//! use attelier_hw::record::Record;
//! use attelier_hw::spatten::Spatten;
//!
//! let config = attelier_hw::config::load("spatten", None, &["memory.channels=8".into()])?;
//! let machine = Spatten::check(&config)?;
//! assert_eq!(machine.memory.channels, 8);
//! assert!(machine.show(&config).contains("user: --set memory.channels=8"));
//! # Ok::<(), attelier_hw::diagnostic::Diagnostic>(())
//! ```

pub mod a3;
pub mod board;
pub mod config;
pub mod designs;
pub mod diagnostic;
pub mod edge_moe;
pub mod elsa;
pub mod host;
mod layer;
pub mod m3vit;
pub mod mnnfast;
pub mod near;
pub mod pim_gpt;
pub mod platform;
pub mod record;
pub mod schema;
pub mod source;
pub mod spatten;
pub mod technology;
