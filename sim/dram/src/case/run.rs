//! The driver of a case: one request offered per step, in order, until all are complete.

use crate::case::{CaseParams, TraceRequest};
use crate::channel::Channel;
use crate::error::CaseError;
use crate::request::Op;
use crate::trace::Issued;

/// When one request came, was taken and finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Direction.
    pub op: Op,
    /// Cycle from which it was offered.
    pub arrival: u64,
    /// Driver step at which the controller took it.
    pub accept: u64,
    /// Cycle of completion.
    pub complete: u64,
}

/// What a case produced.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// All commands in ascending cycle order; inside a channel the issue order.
    pub commands: Vec<Issued>,
    /// One entry per request, in trace order.
    pub served: Vec<Served>,
    /// Last cycle simulated.
    pub last_cycle: u64,
    /// The channels at the end, with their statistics.
    pub channels: Vec<Channel>,
}

/// Cycles without any progress after which a run is given up.
const PATIENCE: u64 = 1 << 26;

/// Runs a request trace.
///
/// # Errors
/// The parameters are out of range, or the requests cannot all be served.
pub fn run(params: &CaseParams, requests: &[TraceRequest]) -> Result<CaseResult, CaseError> {
    let p = params;
    let mut channels = (0..p.organization.channels)
        .map(|index| {
            let (o, c) = (&p.organization, &p.commands);
            Channel::new(index, o, c, &p.table, p.read_latency, &p.controller)
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| CaseError::Table { file: "params".to_owned(), source })?;
    let mut commands = Vec::new();
    let waiting = |request: &TraceRequest| {
        let (op, arrival) = (request.op, request.arrival + p.first_cycle);
        Served { op, arrival, accept: 0, complete: 0 }
    };
    let mut served: Vec<Served> = requests.iter().map(waiting).collect();
    let (mut offered, mut finished) = (0usize, 0usize);
    let mut last_complete = 0;
    let mut step = 0u64;
    let mut progress = 0u64;
    let mut end = None;
    let mut draining = false;
    while end.is_none_or(|end| step + p.first_cycle <= end) {
        let now = step + p.first_cycle;
        if let Some(request) = requests.get(offered).filter(|request| request.arrival <= step) {
            let channel = &mut channels[request.location.channel as usize];
            if channel.accept(request.op, &request.location, offered as u64, now) {
                served[offered].accept = step;
                offered += 1;
                progress = step;
            }
        }
        for channel in &mut channels {
            channel.tick(now, &mut commands);
            while let Some(done) = channel.pop_completion(u64::MAX) {
                // Posted writes of a controller that counts from 0 finish one cycle after
                // acceptance; cycles and steps differ by `first_cycle` only.
                served[done.tag as usize].complete = done.cycle;
                last_complete = last_complete.max(done.cycle);
                finished += 1;
                progress = step;
            }
        }
        if finished == requests.len() && end.is_none() {
            if !p.drain || channels.iter().all(|channel| channel.pending() == 0) {
                let last = if draining { last_complete.max(now) } else { last_complete };
                end = Some(last.saturating_add(p.tail));
            } else if !draining {
                draining = true;
                progress = step;
                channels.iter_mut().for_each(Channel::flush);
            }
        }
        let event = channels.iter().map(Channel::next_event).min().unwrap_or(u64::MAX);
        let event = event.saturating_sub(p.first_cycle);
        let arrival = requests.get(offered).map_or(u64::MAX, |request| {
            let channel = &channels[request.location.channel as usize];
            if channel.can_accept(request.op) { request.arrival } else { u64::MAX }
        });
        let next = event.min(arrival).max(step + 1);
        let waiting = end.is_none() && arrival == u64::MAX;
        if waiting && (next == u64::MAX || next - progress > PATIENCE) {
            let (index, total) = (served.iter().position(|s| s.complete == 0), requests.len());
            return Err(CaseError::Stuck { index: index.unwrap_or(0), total, cycle: now });
        }
        if next == u64::MAX {
            break;
        }
        step = next;
    }
    commands.sort_by_key(|issued: &Issued| issued.cycle);
    let last_cycle = end.unwrap_or(0);
    Ok(CaseResult { commands, served, last_cycle, channels })
}
