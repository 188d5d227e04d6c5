//! Names: legal in Verilog-2005, SystemVerilog and C++ (Verilator makes C++ of them), and unique.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use crate::{
    error::Fault,
    ir::{CLOCK, Module, RESET, UNUSED},
};

/// Longest name; keeps lines short enough to read.
const LONGEST: usize = 54;

/// Reserved words of Verilog-2005 (IEEE 1364-2005, annex B).
const VERILOG: &str = "always and assign automatic begin buf bufif0 bufif1 case casex casez cell \
    cmos config deassign default defparam design disable edge else end endcase endconfig \
    endfunction endgenerate endmodule endprimitive endspecify endtable endtask event for force \
    forever fork function generate genvar highz0 highz1 if ifnone incdir include initial inout \
    input instance integer join large liblist library localparam macromodule medium module nand \
    negedge nmos nor noshowcancelled not notif0 notif1 or output parameter pmos posedge primitive \
    pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg \
    release repeat rnmos rpmos rtran rtranif0 rtranif1 scalared showcancelled signed small \
    specify specparam strong0 strong1 supply0 supply1 table task time tran tranif0 tranif1 tri \
    tri0 tri1 triand trior trireg unsigned use uwire vectored wait wand weak0 weak1 while wire \
    wor xnor xor";

/// Words that SystemVerilog adds (IEEE 1800-2017, annex B).
const SYSTEM_VERILOG: &str = "accept_on alias always_comb always_ff always_latch assert assume \
    before bind bins binsof bit break byte chandle checker class clocking const constraint \
    context continue cover covergroup coverpoint cross dist do endchecker endclass endclocking \
    endgroup endinterface endpackage endprogram endproperty endsequence enum eventually expect \
    export extends extern final first_match foreach forkjoin global iff ignore_bins illegal_bins \
    implements implies import inside int interconnect interface intersect join_any join_none let \
    local logic longint matches modport nettype new nexttime null package packed priority program \
    property protected pure rand randc randcase randsequence ref reject_on restrict return \
    s_always s_eventually s_nexttime s_until s_until_with sequence shortint shortreal soft solve \
    static string strong struct super sync_accept_on sync_reject_on tagged this throughout \
    timeprecision timeunit type typedef union unique unique0 until until_with untyped var virtual \
    void wait_order weak wildcard with within";

/// Words of C++ that are none of the above.
const CPP: &str = "alignas alignof asm auto bool catch char char16_t char32_t compl concept \
    const_cast constexpr decltype delete double dynamic_cast explicit false float friend goto \
    inline long mutable namespace noexcept nullptr operator private public register \
    reinterpret_cast requires short sizeof static_assert static_cast switch template thread_local \
    throw true try typeid typename using volatile wchar_t";

/// Checks every name that the Verilog will show.
pub fn check(module: &Module) -> Result<(), Fault> {
    identifier(&module.name)?;
    let mut taken: BTreeSet<&str> = [CLOCK, RESET, UNUSED].into();
    let signals = module.nodes.iter().filter_map(|node| node.name.as_deref());
    let memories = module.memories.iter().map(|memory| memory.name.as_str());
    let instances = module.instances.iter().map(|instance| instance.name.as_str());
    let outputs = module.outputs.iter().map(|output| output.name.as_str());
    for name in signals.chain(memories).chain(instances).chain(outputs) {
        identifier(name)?;
        if !taken.insert(name) {
            return Err(Fault::Clash { name: name.to_owned() });
        }
    }
    // The printer counts words with a variable of its own.
    let counters = module.memories.iter().map(|memory| counter(&memory.name));
    match counters.into_iter().find(|name| taken.contains(name.as_str())) {
        Some(name) => Err(Fault::Clash { name }),
        None => Ok(()),
    }
}

/// The variable that counts the words of a memory.
pub fn counter(memory: &str) -> String {
    format!("{memory}_word")
}

/// Checks one name.
fn identifier(name: &str) -> Result<(), Fault> {
    let letter = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let legal = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !letter || !legal || name.len() > LONGEST {
        return Err(Fault::Identifier { name: name.chars().take(80).collect() });
    }
    match KEYWORDS.get(name) {
        Some(&language) => Err(Fault::Keyword { name: name.to_owned(), language }),
        None => Ok(()),
    }
}

/// The language of each reserved word.
static KEYWORDS: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
    let languages = [(CPP, "C++"), (SYSTEM_VERILOG, "SystemVerilog"), (VERILOG, "Verilog")];
    let words = |(words, language): (&'static str, _)| {
        words.split_ascii_whitespace().map(move |word| (word, language))
    };
    languages.into_iter().flat_map(words).collect()
});

/// A name that is legal and not yet taken, made from a wanted one.
pub fn fresh(wanted: &str, taken: &mut BTreeSet<String>) -> String {
    // Room for the number that makes it unique.
    let wanted: String = wanted.chars().take(LONGEST - 8).collect();
    let mut name = wanted.clone();
    let mut count = 1u32;
    while identifier(&name).is_err() || taken.contains(&name) {
        count += 1;
        name = format!("{wanted}_{count}");
    }
    taken.insert(name.clone());
    name
}
