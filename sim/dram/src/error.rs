//! Every way in which a table, an address or a file can be wrong.

use thiserror::Error;

/// A device, constraint or mapping table that cannot describe a DRAM.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TableError {
    /// A command name is empty or used twice.
    #[error("command name `{name}` is empty or already taken")]
    CommandName {
        /// The name.
        name: String,
    },
    /// Too many commands in one set.
    #[error("more than {limit} commands")]
    TooManyCommands {
        /// The limit.
        limit: usize,
    },
    /// A constraint names a command the set lacks.
    #[error("constraint {row}: unknown command `{name}`")]
    UnknownCommand {
        /// Row of the table, from 0.
        row: usize,
        /// The name.
        name: String,
    },
    /// A constraint names a level that does not exist.
    #[error(
        "constraint {row}: unknown scope `{name}`, expected Channel, Rank, PseudoChannel, \
         BankGroup or Bank"
    )]
    UnknownScope {
        /// Row of the table, from 0.
        row: usize,
        /// The name.
        name: String,
    },
    /// A constraint looks back over no command or over too many.
    #[error("constraint {row}: window {window} is outside 1 to 64")]
    Window {
        /// Row of the table, from 0.
        row: usize,
        /// The window.
        window: u64,
    },
    /// A distance so large that cycle numbers could overflow.
    #[error("constraint {row}: {distance} cycles is more than any DRAM timing can be")]
    Distance {
        /// Row of the table, from 0.
        row: usize,
        /// The distance [cycles].
        distance: u64,
    },
    /// A distance expression cannot be read.
    #[error("constraint {row}: cannot read `{expression}`: {reason}")]
    Expression {
        /// Row of the table, from 0.
        row: usize,
        /// The expression.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A timing the model needs is absent.
    #[error("timing `{name}` is missing")]
    MissingTiming {
        /// JEDEC name.
        name: &'static str,
    },
    /// A name that is no JEDEC timing.
    #[error("unknown timing `{name}`{}", hint(.suggestion))]
    UnknownTiming {
        /// The name.
        name: String,
        /// Closest known name.
        suggestion: Option<&'static str>,
    },
    /// A constraint table that leaves out what a command costs.
    #[error("constraint table: no rule from {preceding} to {following}")]
    MissingRule {
        /// Earlier command.
        preceding: &'static str,
        /// Command that would have to wait.
        following: &'static str,
    },
    /// A current below the standby that it contains.
    #[error("power: {name} = {current} mA is below {floor}, {least:.1} mA")]
    Current {
        /// Name of the current.
        name: String,
        /// Its value [mA].
        current: f64,
        /// What it contains.
        floor: &'static str,
        /// How much that is [mA].
        least: f64,
    },
    /// Timings that contradict each other.
    #[error("impossible timing: {left} = {left_value} must be {relation} {right} = {right_value}")]
    ImpossibleTiming {
        /// Left name.
        left: String,
        /// Left value [cycles].
        left_value: u64,
        /// How they must relate.
        relation: &'static str,
        /// Right name or sum.
        right: String,
        /// Right value [cycles].
        right_value: u64,
    },
    /// A count of the organisation is zero or too large.
    #[error("organisation: {field} = {value} is outside 1 to {limit}")]
    Organization {
        /// Field name.
        field: &'static str,
        /// Value given.
        value: u64,
        /// Largest value accepted.
        limit: u64,
    },
    /// A mapping field covers another number of values than the organisation has.
    #[error(
        "address mapping: {field} has {bits} bits but the organisation has {count} of them{}",
        needed(*.count)
    )]
    MappingWidth {
        /// Field name.
        field: &'static str,
        /// Bits over all segments.
        bits: u32,
        /// Count in the organisation.
        count: u64,
    },
    /// A mapping that leaves a bit unused, uses one twice or names an unknown field.
    #[error("address mapping: {reason}")]
    Mapping {
        /// What is wrong.
        reason: String,
    },
    /// A controller setting outside its range.
    #[error("controller: {field} = {value}, expected {expected}")]
    Controller {
        /// Field name.
        field: &'static str,
        /// Value given.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A TOML text that cannot be read.
    #[error("{name}: {message}")]
    Toml {
        /// Which text.
        name: String,
        /// Parser message with line and column.
        message: String,
    },
    /// No built-in device of this name.
    #[error("no device `{name}`; known: {known}")]
    UnknownDevice {
        /// The name.
        name: String,
        /// All names.
        known: String,
    },
    /// A term needs a number the device table does not give.
    #[error("{device}: no {what} in the device table")]
    MissingData {
        /// Device name.
        device: String,
        /// What is missing.
        what: &'static str,
    },
}

fn needed(count: u64) -> String {
    if count.is_power_of_two() {
        format!(", which is {} bits", count.ilog2())
    } else {
        String::new()
    }
}

fn hint(suggestion: &Option<&'static str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// An address the memory does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not a multiple of the transaction size.
    #[error("address {address:#x} is not a multiple of the {tx_bytes}-byte transaction")]
    Unaligned {
        /// The address [B].
        address: u64,
        /// Transaction size [B].
        tx_bytes: u64,
    },
    /// Beyond the last byte.
    #[error("address {address:#x} is outside the memory of {capacity:#x} bytes")]
    OutOfRange {
        /// The address [B].
        address: u64,
        /// Size of the memory [B].
        capacity: u64,
    },
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SubmitError {
    /// The queue is full: offer the request again later.
    #[error("the queue is full")]
    Full,
    /// The address does not exist.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// A command that breaks a rule of the device.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IllegalCommand {
    /// Too early.
    #[error("{command} at cycle {cycle}: not allowed before cycle {earliest}")]
    TooEarly {
        /// Mnemonic.
        command: String,
        /// Cycle asked for.
        cycle: u64,
        /// First legal cycle.
        earliest: u64,
    },
    /// A covered bank is in the wrong state.
    #[error("{command} at cycle {cycle}: bank {bank} {state}")]
    BankState {
        /// Mnemonic.
        command: String,
        /// Cycle asked for.
        cycle: u64,
        /// Flat bank index.
        bank: usize,
        /// What is wrong with it.
        state: &'static str,
    },
    /// The target does not exist.
    #[error("{command}: {what} {value} does not exist")]
    Target {
        /// Mnemonic.
        command: String,
        /// Field of the target.
        what: &'static str,
        /// Its value.
        value: u64,
    },
}

/// What can go wrong while a request file or case folder is read and run. The text names the place;
/// where there is a cause, [`std::error::Error::source`] says what is wrong.
#[derive(Debug, Error)]
pub enum CaseError {
    /// A line of a request file.
    #[error("{file}:{line}: expected {expected}, found `{found}`")]
    Csv {
        /// File name.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What the place should hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// An address in a request file.
    #[error("{file}:{line}")]
    Address {
        /// File name.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        source: AddressError,
    },
    /// The parameter file is not the JSON expected.
    #[error("{file}: not the parameters of a DRAM case")]
    Json {
        /// File name.
        file: String,
        /// Parser message with line and column.
        source: serde_json::Error,
    },
    /// A value of the parameter file that is not supported.
    #[error("{file}: {field} = `{value}`, expected {expected}")]
    Field {
        /// File name.
        file: String,
        /// Path of the field.
        field: &'static str,
        /// Value found.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// The parameters do not describe a DRAM.
    #[error("{file}")]
    Table {
        /// File name.
        file: String,
        /// What is wrong.
        source: TableError,
    },
    /// Two files for one thing.
    #[error("both {file} and {other} exist; remove one")]
    TwoFiles {
        /// One file.
        file: String,
        /// The other.
        other: String,
    },
    /// Requests stay unserved although nothing can happen any more.
    #[error("request {index} of {total} can never be served: the controller is idle at {cycle}")]
    Stuck {
        /// First request without completion.
        index: usize,
        /// Requests in the trace.
        total: usize,
        /// Cycle reached.
        cycle: u64,
    },
    /// Reading or writing failed.
    #[error("{file}: cannot be read")]
    Io {
        /// File name.
        file: String,
        /// System message.
        source: std::io::Error,
    },
}
