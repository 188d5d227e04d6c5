//! Descriptions that are no hardware, and the messages that refuse them.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::sync::Arc;

use attelier_rtl::{
    Design, Error, ModuleBuilder, Simulator,
    ir::{MemoryStyle, Module, Type},
};

/// The message for a module that the closure describes.
fn message(describe: impl FnOnce(&ModuleBuilder)) -> String {
    let m = ModuleBuilder::new("unit");
    describe(&m);
    finish(m).unwrap_err().to_string()
}

fn finish(m: ModuleBuilder) -> Result<Arc<Module>, Error> {
    m.finish()
}

#[test]
fn unequal_widths_name_both_signals() {
    let text = message(|m| {
        let (a, b) = (m.input("a", 8), m.input("b", 9));
        m.output("y", &(&a + &b));
    });
    assert_eq!(
        text,
        "module `unit`: add: `a` has 8 bits and `b` has 9; expected equal widths (use `extend` or \
         `bits`)"
    );
}

#[test]
fn a_signed_and_an_unsigned_operand_do_not_meet() {
    let text = message(|m| {
        let (a, b) = (m.input("a", 8), m.input("b", Type::signed(8)));
        m.output("y", &a.lt(&b));
    });
    assert!(text.contains("of `a` and `b` only one is signed"), "{text}");
    let text = message(|m| {
        let (a, b) = (m.input("a", 8), m.input("b", Type::signed(8)));
        m.output("y", &a.mul(&b));
    });
    assert!(text.contains("mul: of `a` and `b` only one is signed"), "{text}");
}

#[test]
fn widths_outside_1_to_4096_are_refused_without_a_panic() {
    for width in [0, 4097, u32::MAX] {
        let text = message(|m| m.output("y", &m.input("a", width)));
        assert!(text.contains(&format!("`a` is {width} bits wide")), "{text}");
    }
    let text = message(|m| m.output("y", &m.input("a", 4096).repeat(u32::MAX)));
    assert!(text.contains("4294967295 bits wide"), "{text}");
}

#[test]
fn bits_that_do_not_exist_are_refused() {
    let text = message(|m| m.output("y", &m.input("a", 8).bits(4..9)));
    assert_eq!(text, "module `unit`: bits 4..9 of `a` do not exist; it has 8");
    let text = message(|m| m.output("y", &m.input("a", 8).extend(7)));
    assert!(text.contains("bits 0..7 of `a`"), "{text}");
}

#[test]
fn literals_must_fit() {
    let text = message(|m| m.output("y", &m.input("a", 4).eq(16)));
    assert_eq!(text, "module `unit`: the constant 16 does not fit into the 4 bits of `a`");
}

#[test]
fn nothing_may_stay_undriven() {
    let text = message(|m| {
        let ready = m.forward("ready", 1);
        m.output("y", &ready);
    });
    assert_eq!(text, "module `unit`: nothing drives `ready`");
    let text = message(|m| m.output("y", &m.register("count", 3)));
    assert_eq!(text, "module `unit`: nothing drives `count`");
    let inner = ModuleBuilder::new("inner");
    inner.output("y", &inner.input("a", 1));
    let inner = finish(inner).unwrap();
    let text = message(|m| m.output("y", &m.instance("first", &inner).output("y")));
    assert_eq!(text, "module `unit`: nothing drives `first.a`");
}

#[test]
fn nothing_may_be_driven_twice() {
    let text = message(|m| {
        let (a, ready) = (m.input("a", 1), m.forward("ready", 1));
        m.drive(&ready, &a);
        m.drive(&ready, &a);
        m.output("y", &ready);
    });
    assert_eq!(text, "module `unit`: `ready` is driven twice");
    let text = message(|m| {
        let (a, count) = (m.input("a", 1), m.register("count", 1));
        m.update(&count, &a);
        m.update_when(&count, &a, &a);
        m.output("y", &count);
    });
    assert_eq!(text, "module `unit`: `count` is driven twice");
    let text = message(|m| {
        let a = m.input("a", 1);
        m.drive(&a, 1);
        m.output("y", &a);
    });
    assert!(text.contains("`a` is no wire that was declared"), "{text}");
}

#[test]
fn unread_inputs_and_bits_are_refused_unless_discarded() {
    let describe = |m: &ModuleBuilder| {
        let (a, b) = (m.input("a", 8), m.input("b", 8));
        m.output("y", &(a.bits(2..4) + b.bits(0..2)));
        (a, b)
    };
    let text = message(|m| {
        m.input("never", 4);
        let (a, b) = describe(m);
        m.discard(&a);
        m.discard(&b);
    });
    assert!(text.contains("nothing reads `never`"), "{text}");
    let text = message(|m| {
        let (_, b) = describe(m);
        m.discard(&b);
    });
    assert!(text.contains("nothing reads bits 4..8, 0..2 of `a`"), "{text}");
    let m = ModuleBuilder::new("unit");
    let (a, b) = describe(&m);
    m.discard(&a);
    m.discard(&b);
    assert!(finish(m).is_ok());
}

#[test]
fn loops_are_found_inside_a_module_and_through_instances() {
    let text = message(|m| {
        let (a, loops) = (m.input("a", 4), m.forward("loops", 4));
        let sum = m.wire("sum", &(&a + &loops));
        m.drive(&loops, &sum);
        m.output("y", &sum);
    });
    assert_eq!(text, "module `unit`: combinational loop through loops -> sum");

    // `through` passes its input on, `held` only after the edge.
    let inner = ModuleBuilder::new("inner");
    let (a, b) = (inner.input("a", 1), inner.input("b", 1));
    inner.output("through", &!&a);
    inner.output("held", &inner.pipe("state", &b));
    let inner = finish(inner).unwrap();
    let connect = |m: &ModuleBuilder, loops: &str, free: &str| {
        let first = m.instance("first", &inner);
        first.input(loops, first.output("through")).input(free, first.output("held"));
        m.output("y", &first.output("through"));
    };
    let text = message(|m| connect(m, "a", "b"));
    assert!(text.contains("combinational loop through first_through"), "{text}");
    let m = ModuleBuilder::new("unit");
    connect(&m, "b", "a");
    assert!(finish(m).is_ok());
}

#[test]
fn names_must_be_legal_unique_and_not_reserved() {
    for (name, expected) in [
        ("2fast", "`2fast` is no name"),
        ("", "`` is no name"),
        ("a b", "`a b` is no name"),
        ("posedge", "reserved word of Verilog"),
        ("logic", "reserved word of SystemVerilog"),
        ("double", "reserved word of C++"),
        ("clk", "the name `clk` is given twice"),
        ("rst", "the name `rst` is given twice"),
        ("y", "the name `y` is given twice"),
    ] {
        let text = message(|m| m.output("y", &m.input(name, 1)));
        assert!(text.contains(expected), "{name}: {text}");
    }
    let m = ModuleBuilder::new("module");
    m.output("y", &m.input("a", 1));
    assert!(finish(m).unwrap_err().to_string().contains("reserved word of Verilog"));
}

#[test]
fn signals_of_another_module_are_refused() {
    let other = ModuleBuilder::new("other");
    let theirs = other.input("theirs", 4);
    let text = message(|m| m.output("y", &(m.input("a", 4) + &theirs)));
    assert!(text.contains("`theirs` belongs to another module"), "{text}");
    // Also after the other module is finished.
    other.output("y", &theirs);
    finish(other).unwrap();
    let text = message(|m| m.output("y", &(m.input("a", 4) + &theirs)));
    assert!(text.contains("belongs to another module"), "{text}");
}

#[test]
fn memories_and_cases_state_what_they_need() {
    let text = message(|m| {
        let (a, d, e) = (m.input("a", 3), m.input("d", 8), m.input("e", 1));
        let memory = m.memory("words", 8, 16, MemoryStyle::Auto);
        memory.write(&a, &d, &e);
        m.output("y", &memory.read("word", &a));
    });
    assert!(text.contains("memory address: `a` has 3 bits and `words` has 4"), "{text}");
    let text = message(|m| {
        let a = m.input("a", 2);
        m.output("y", &m.case(&a, [(1, &a), (1, &a)], 0));
    });
    assert_eq!(text, "module `unit`: case on `a`: label 1 appears twice");
}

#[test]
fn unknown_ports_and_modules_list_what_exists() {
    let inner = ModuleBuilder::new("inner");
    inner.output("y", &inner.input("a", 1));
    let inner = finish(inner).unwrap();
    let text = message(|m| {
        let first = m.instance("first", &inner);
        first.input("aa", 1);
        m.output("y", &first.output("y"));
    });
    assert!(text.contains("`inner` has no input `aa`; it has a"), "{text}");
    let design = Design::new([&inner]).unwrap();
    let text = Simulator::new(&design, "outer").unwrap_err().to_string();
    assert!(text.contains("there is no module `outer`; there are inner"), "{text}");
    let mut simulator = Simulator::new(&design, "inner").unwrap();
    assert!(simulator.set("b", 1).unwrap_err().to_string().contains("no input `b`"));
}

#[test]
fn two_modules_of_one_name_do_not_meet_in_a_design() {
    let named = |width| {
        let m = ModuleBuilder::new("same");
        m.output("y", &m.input("a", width));
        finish(m).unwrap()
    };
    let (one, two) = (named(1), named(2));
    assert!(Design::new([&one, &named(1)]).is_ok());
    let text = Design::new([&one, &two]).unwrap_err().to_string();
    assert_eq!(text, "module `same`: the name `same` is given twice");
}
