//! The order in which queries and keys meet, for both products of attention.

use attelier_hw::edge_moe::Sizes;

use crate::{Error, ModuleBuilder, Signal, bits::index_width, units::spatten::parts::within};

/// Passes and keys, one token step after the other. Slot `o` takes query `SLOTS b + o` when key `o` of pass
/// `b` comes; until then it works on the query of the pass before.
pub(super) struct TokenSteps {
    /// Key of the step.
    pub key: Signal,
    /// Query of slot 0 in this pass.
    pub base: Signal,
    /// One bit: the last step of all.
    pub is_final: Signal,
    sizes: Sizes,
}

/// Refuses sizes that the order is not made for.
pub(super) fn check(name: &str, sizes: &Sizes) -> Result<(), Error> {
    within(name, "tokens", sizes.tokens, 2..4097, "2 to 4096 tokens")?;
    let expected = "2 to 64 queries at a time, fewer than tokens";
    within(name, "queries", sizes.queries, 2..65.min(sizes.tokens), expected)?;
    within(name, "heads", sizes.heads, 1..17, "1 to 16 heads")?;
    within(name, "lanes", sizes.lanes, 2..65, "2 to 64 lanes")?;
    let expected = "a whole number of words for each head, at least two in all";
    let words = sizes.lanes.saturating_mul(sizes.heads);
    if !sizes.lanes.is_power_of_two()
        || !sizes.width.is_multiple_of(words)
        || sizes.width < 2 * sizes.lanes
    {
        return Err(Error::parameter(name, "width", sizes.width, expected));
    }
    Ok(())
}

impl TokenSteps {
    /// Counters that begin with `starts` and go on with `ends_step`.
    pub fn new(
        m: &ModuleBuilder,
        name: &str,
        sizes: &Sizes,
        starts: &Signal,
        ends_step: &Signal,
    ) -> Self {
        m.section(format!("{name}: keys pass once for each group of queries"));
        let Sizes { tokens, queries, .. } = *sizes;
        let key = m.register(format!("{name}_key"), index_width(tokens.into()));
        let base_bits = index_width(u64::from(tokens) + 2 * u64::from(queries));
        let base = m.register(format!("{name}_base"), base_bits).comment("Query of slot 0.");
        let moves = m.wire(format!("{name}_moves"), &(starts | ends_step));
        let wraps = m.wire(format!("{name}_wraps"), &key.eq(u64::from(tokens - 1)));
        m.update_when(&key, &moves, (!&(starts | &wraps)).gate(&(&key + 1)));
        let next = wraps.mux(&(&base + u64::from(queries)), &base);
        m.update_when(&base, &moves, (!starts).gate(&next));
        let last = sizes.token_steps() - 1;
        let final_base = last / u64::from(tokens) * u64::from(queries);
        let is_final = key.eq(last % u64::from(tokens)) & base.eq(final_base);
        let is_final = m.wire(format!("{name}_final"), &is_final);
        Self { key, base, is_final, sizes: sizes.clone() }
    }

    /// One bit: this step brings slot `slot` its next query, if there is one.
    pub fn renews(&self, slot: u32) -> Signal {
        self.key.eq(u64::from(slot))
    }

    /// One bit: the query that this step would bring exists.
    pub fn brings(&self, m: &ModuleBuilder, name: &str) -> Signal {
        let width = self.base.width();
        let slots = self.key.lt(u64::from(self.sizes.queries));
        let query = &self.base + self.key.extend(width);
        m.wire(name, &(slots & query.lt(u64::from(self.sizes.tokens))))
    }

    /// One bit: slot `slot` works on a query that exists.
    pub fn works(&self, slot: u32) -> Signal {
        let (tokens, queries) = (u64::from(self.sizes.tokens), u64::from(self.sizes.queries));
        let query = &self.base + u64::from(slot);
        let renewed = self.key.ge(u64::from(slot));
        let of_this = &renewed & query.lt(tokens);
        let of_last = !&renewed & self.base.any() & query.lt(tokens + queries);
        of_this | of_last
    }

    /// One bit: this step ends the row of slot `slot`.
    pub fn ends_row(&self, slot: u32) -> Signal {
        self.key.eq(u64::from(slot.checked_sub(1).unwrap_or(self.sizes.tokens - 1)))
    }
}
