//! The driver of a case: offers requests, in trace order, until all are complete.
//!
//! A recorded case offers one request per step, whatever its channel. A trace on a device offers one
//! per channel and step: the order is kept inside each channel, and a full channel holds up no other.

use crate::case::{CaseParams, TraceRequest};
use crate::channel::Channel;
use crate::error::CaseError;
use crate::request::Op;
use crate::trace::{CommandSink, Issued};

/// When one request came, was taken and finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Direction.
    pub op: Op,
    /// Driver step from which it was offered.
    pub arrival: u64,
    /// Driver step at which the controller took it.
    pub accept: u64,
    /// Cycle of completion.
    pub complete: u64,
}

/// How many requests the driver offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injection {
    /// One per step, as the recorded cases.
    OnePerStep,
    /// One per channel and step, so that every channel can be kept busy.
    OnePerChannel,
}

/// What a case produced, beside its commands.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// One entry per request, in trace order.
    pub served: Vec<Served>,
    /// Last cycle simulated.
    pub last_cycle: u64,
    /// The channels at the end, with their statistics.
    pub channels: Vec<Channel>,
}

/// Cycles without any progress after which a run is given up.
const PATIENCE: u64 = 1 << 26;

/// Requests in the order in which one source offers them.
struct Source {
    /// Indices into the trace.
    requests: Vec<usize>,
    offered: usize,
}

impl Source {
    /// The sources of a trace: one in all, or one per channel.
    fn split(params: &CaseParams, requests: &[TraceRequest]) -> Vec<Source> {
        let count = match params.injection {
            Injection::OnePerStep => 1,
            Injection::OnePerChannel => params.organization.channels as usize,
        };
        let mut sources: Vec<Source> =
            (0..count).map(|_| Source { requests: Vec::new(), offered: 0 }).collect();
        for (index, request) in requests.iter().enumerate() {
            let source = if count == 1 { 0 } else { request.location.channel as usize };
            sources[source].requests.push(index);
        }
        sources
    }

    fn next(&self) -> Option<usize> {
        self.requests.get(self.offered).copied()
    }
}

/// Runs a request trace and keeps its commands, in ascending cycle order; inside a channel the issue
/// order.
///
/// # Errors
/// As [`run_into`].
pub fn run(
    params: &CaseParams,
    requests: &[TraceRequest],
) -> Result<(CaseResult, Vec<Issued>), CaseError> {
    let mut commands = Vec::new();
    let result = run_into(params, requests, &mut commands)?;
    Ok((result, commands))
}

/// Runs a request trace; `sink` receives the commands in ascending cycle order.
///
/// # Errors
/// The parameters are out of range, or the requests cannot all be served.
pub fn run_into<S: CommandSink>(
    params: &CaseParams,
    requests: &[TraceRequest],
    sink: &mut S,
) -> Result<CaseResult, CaseError> {
    let p = params;
    let mut channels = p
        .controller
        .refresh
        .check_timing(&p.timing, &p.organization)
        .and_then(|()| {
            let (o, c) = (&p.organization, &p.commands);
            (0..o.channels)
                .map(|index| Channel::new(index, o, c, &p.table, p.read_latency, &p.controller))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|source| CaseError::Table { file: "params".to_owned(), source })?;
    let waiting = |request: &TraceRequest| {
        let TraceRequest { op, arrival, .. } = *request;
        Served { op, arrival, accept: 0, complete: 0 }
    };
    let mut served: Vec<Served> = requests.iter().map(waiting).collect();
    let mut sources = Source::split(p, requests);
    let mut finished = 0usize;
    let mut last_complete = 0;
    let mut step = 0u64;
    let mut progress = 0u64;
    let mut end = None;
    let mut draining = false;
    while end.is_none_or(|end| step + p.first_cycle <= end) {
        let now = step + p.first_cycle;
        for source in &mut sources {
            let Some(index) = source.next() else { continue };
            let request = &requests[index];
            let channel = &mut channels[request.location.channel as usize];
            if request.arrival <= step
                && channel.accept(request.op, &request.location, index as u64, now)
            {
                served[index].accept = step;
                source.offered += 1;
                progress = step;
            }
        }
        for channel in &mut channels {
            channel.tick(now, sink);
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
                // The data of the last write follow its command.
                let write = p.timing.get("tCWL") + p.timing.get("tBL");
                let wrote = requests.iter().any(|request| request.op == Op::Write);
                let drained = if p.drain && wrote { now + write } else { 0 };
                end = Some(last_complete.max(drained).saturating_add(p.tail));
            } else if !draining {
                draining = true;
                progress = step;
                channels.iter_mut().for_each(Channel::flush);
            }
        }
        let event = channels.iter().map(Channel::next_event).min().unwrap_or(u64::MAX);
        let event = event.saturating_sub(p.first_cycle);
        let offer = |source: &Source| {
            let request = &requests[source.next()?];
            let channel = &channels[request.location.channel as usize];
            channel.can_accept(request.op).then_some(request.arrival)
        };
        let arrival = sources.iter().filter_map(offer).min().unwrap_or(u64::MAX);
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
    Ok(CaseResult { served, last_cycle: end.unwrap_or(0), channels })
}
