//! Why a description is not hardware.

use thiserror::Error;

/// A refused description: the module, and what is wrong in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("module `{module}`: {fault}")]
pub struct Error {
    /// Name of the module at fault.
    pub module: String,
    /// What is wrong.
    pub fault: Box<Fault>,
}

/// What is wrong with a description.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A width outside 1 to 4096.
    #[error("`{signal}` is {width} bits wide; expected 1 to 4096")]
    Width {
        /// Signal.
        signal: String,
        /// Its width \[bits\].
        width: u64,
    },
    /// Operands of different widths.
    #[error(
        "{operation}: `{left}` has {left_width} bits and `{right}` has {right_width}; expected equal \
         widths (use `extend` or `bits`)"
    )]
    Widths {
        /// Operation.
        operation: &'static str,
        /// Left operand.
        left: String,
        /// Its width \[bits\].
        left_width: u32,
        /// Right operand.
        right: String,
        /// Its width \[bits\].
        right_width: u32,
    },
    /// One operand is signed, the other is not.
    #[error(
        "{operation}: of `{left}` and `{right}` only one is signed (use `as_signed` or `as_unsigned`)"
    )]
    Signedness {
        /// Operation.
        operation: &'static str,
        /// Left operand.
        left: String,
        /// Right operand.
        right: String,
    },
    /// Bits that a signal does not have.
    #[error("bits {low}..{high} of `{signal}` do not exist; it has {width}")]
    Range {
        /// Signal.
        signal: String,
        /// First bit.
        low: u64,
        /// Bit after the last.
        high: u64,
        /// Width of the signal \[bits\].
        width: u32,
    },
    /// A literal that needs more bits than its place has.
    #[error("the constant {value} does not fit into the {width} bits of `{signal}`")]
    Constant {
        /// The literal.
        value: u64,
        /// The signal it meets.
        signal: String,
        /// Width \[bits\].
        width: u32,
    },
    /// A signal of another module.
    #[error("`{signal}` belongs to another module; connect it through a port")]
    Foreign {
        /// Signal.
        signal: String,
    },
    /// A name that is no Verilog identifier.
    #[error("`{name}` is no name: expected a letter, then letters, digits and `_`, at most 54")]
    Identifier {
        /// The name.
        name: String,
    },
    /// A name that Verilog, SystemVerilog or C++ reserves.
    #[error("`{name}` is a reserved word of {language}")]
    Keyword {
        /// The name.
        name: String,
        /// Whose word it is.
        language: &'static str,
    },
    /// A name given twice.
    #[error("the name `{name}` is given twice")]
    Clash {
        /// The name.
        name: String,
    },
    /// A wire, register or instance input that nothing drives.
    #[error("nothing drives `{signal}`")]
    Undriven {
        /// Signal.
        signal: String,
    },
    /// A wire, register or instance input driven twice.
    #[error("`{signal}` is driven twice")]
    DrivenTwice {
        /// Signal.
        signal: String,
    },
    /// Something that cannot be driven.
    #[error("`{signal}` is no wire that was declared to be driven later")]
    NotDrivable {
        /// Signal.
        signal: String,
    },
    /// A signal that nothing reads.
    #[error("nothing reads `{signal}` (use `discard` where that is meant)")]
    Unused {
        /// Signal.
        signal: String,
    },
    /// Bits that nothing reads.
    #[error("nothing reads bits {bits} of `{signal}` (use `discard` where that is meant)")]
    UnusedBits {
        /// Signal.
        signal: String,
        /// Which bits.
        bits: String,
    },
    /// Signals that depend on themselves within a cycle.
    #[error("combinational loop through {}", through.join(" -> "))]
    Loop {
        /// The signals of the loop.
        through: Vec<String>,
    },
    /// A port that an instance's module does not have.
    #[error("instance `{instance}`: `{of}` has no {direction} `{port}`; it has {}", known.join(", "))]
    Port {
        /// Instance.
        instance: String,
        /// Its module.
        of: String,
        /// `input` or `output`.
        direction: &'static str,
        /// The name asked for.
        port: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A case that names one label twice.
    #[error("case on `{select}`: label {label} appears twice")]
    Label {
        /// The selecting signal.
        select: String,
        /// The label.
        label: String,
    },
    /// A parameter of a block outside its range.
    #[error("{parameter} = {value}: expected {expected}")]
    Parameter {
        /// Parameter.
        parameter: &'static str,
        /// Its value.
        value: u64,
        /// What is allowed.
        expected: &'static str,
    },
    /// A module without an output.
    #[error("the module has no output")]
    NoOutput,
    /// A name that the design or the simulator does not know.
    #[error("there is no {kind} `{name}`; there are {}", known.join(", "))]
    Unknown {
        /// What was looked for.
        kind: &'static str,
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
}

impl Error {
    /// A fault of a module.
    pub fn new(module: impl Into<String>, fault: Fault) -> Self {
        Self { module: module.into(), fault: Box::new(fault) }
    }

    /// A parameter of a block outside its range.
    pub fn parameter(
        module: &str,
        parameter: &'static str,
        value: impl TryInto<u64>,
        expected: &'static str,
    ) -> Self {
        let value = value.try_into().unwrap_or(u64::MAX);
        Self::new(module, Fault::Parameter { parameter, value, expected })
    }
}
