//! A search by generations for the Pareto front: NSGA-II.
//!
//! Deb, Pratap, Agarwal and Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II",
//! IEEE Transactions on Evolutionary Computation 6(2), 2002. Genes are indices on the axes, so the
//! operators are discrete: a gene comes from either parent, and mutates to a neighbour on its axis or
//! to any value of it. No point is visited twice. The first generation is a Latin hypercube with the
//! two ends of every axis.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{
    pareto,
    sample::{Budget, Genes, Sample},
};

/// Chance that a child has two parents.
const CROSSOVER: f64 = 0.9;

/// Chance that a gene that mutates moves to a neighbour.
const NEIGHBOUR: f64 = 0.5;

/// Children drawn for one that has not been visited, before any other point is taken.
const ATTEMPTS: usize = 64;

/// Costs of a point, each to be small; `None` if it meets no constraint or has no result.
pub type Costs = Option<Vec<f64>>;

/// Searches axes of these lengths. `evaluate` visits the points of a generation, in its order.
///
/// # Errors
/// Whatever `evaluate` reports.
pub fn search<E>(
    lengths: &[usize],
    budget: Budget,
    seed: u64,
    mut evaluate: impl FnMut(&[Genes]) -> Result<Vec<Costs>, E>,
) -> Result<(), E> {
    let all = lengths.iter().try_fold(1usize, |all, &length| all.checked_mul(length));
    let most = budget.points.min(all.unwrap_or(usize::MAX));
    let mut breeder =
        Breeder { lengths, random: Pcg64Mcg::seed_from_u64(seed), visited: BTreeSet::new() };
    let mut generation = breeder.first(budget.population.min(most), seed);
    let mut population: Vec<Member> = Vec::new();
    while !generation.is_empty() {
        let costs = evaluate(&generation)?;
        let children = generation.into_iter().zip(costs);
        population.extend(children.map(|(genes, costs)| Member { genes, costs }));
        let ranks = survivors(&mut population, budget.population);
        let left = most.saturating_sub(breeder.visited.len());
        generation = breeder.next(&population, &ranks, budget.population.min(left));
    }
    Ok(())
}

struct Member {
    genes: Genes,
    costs: Costs,
}

/// How a member compares with others: a lower front is better, then a lonelier place.
#[derive(Debug, Clone, Copy)]
struct Rank {
    front: usize,
    crowding: f64,
}

impl Rank {
    fn is_better_than(self, other: Self) -> bool {
        self.front < other.front || (self.front == other.front && self.crowding > other.crowding)
    }
}

/// Keeps the best `most` members, best first, and returns their ranks.
fn survivors(population: &mut Vec<Member>, most: usize) -> Vec<Rank> {
    let ranks = ranks(population);
    let mut order: Vec<usize> = (0..population.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (ranks[a], ranks[b]);
        a.front.cmp(&b.front).then(b.crowding.total_cmp(&a.crowding))
    });
    order.truncate(most);
    let kept = order.iter().map(|&index| ranks[index]).collect();
    let mut members: Vec<Option<Member>> = population.drain(..).map(Some).collect();
    population.extend(order.iter().filter_map(|&index| members[index].take()));
    kept
}

/// Fronts are peeled off one by one; members without costs come after all others.
fn ranks(population: &[Member]) -> Vec<Rank> {
    let mut ranks = vec![Rank { front: usize::MAX, crowding: 0.0 }; population.len()];
    let mut left: Vec<(usize, &Vec<f64>)> = population
        .iter()
        .enumerate()
        .filter_map(|(index, member)| Some((index, member.costs.as_ref()?)))
        .collect();
    for front in 0.. {
        if left.is_empty() {
            break;
        }
        let costs: Vec<Vec<f64>> = left.iter().map(|(_, costs)| (*costs).clone()).collect();
        let places = pareto::front(&costs);
        let peeled: Vec<Vec<f64>> = places.iter().map(|&place| costs[place].clone()).collect();
        for (&place, crowding) in places.iter().zip(crowding(&peeled)) {
            ranks[left[place].0] = Rank { front, crowding };
        }
        let mut place = 0;
        left.retain(|_| {
            place += 1;
            places.binary_search(&(place - 1)).is_err()
        });
    }
    ranks
}

/// For each point of a front, the size of the gap that it fills, summed over the objectives as a share
/// of their range; infinite for the ends.
fn crowding(front: &[Vec<f64>]) -> Vec<f64> {
    let mut crowding = vec![0.0; front.len()];
    for objective in 0..front.first().map_or(0, Vec::len) {
        let mut order: Vec<usize> = (0..front.len()).collect();
        order.sort_by(|&a, &b| front[a][objective].total_cmp(&front[b][objective]));
        let at = |place: usize| front[order[place]][objective];
        let last = order.len() - 1;
        crowding[order[0]] = f64::INFINITY;
        crowding[order[last]] = f64::INFINITY;
        let range = at(last) - at(0);
        for place in 1..last {
            if range > 0.0 {
                crowding[order[place]] += (at(place + 1) - at(place - 1)) / range;
            }
        }
    }
    crowding
}

/// Draws points that have not been visited.
struct Breeder<'a> {
    lengths: &'a [usize],
    random: Pcg64Mcg,
    visited: BTreeSet<Genes>,
}

impl Breeder<'_> {
    fn first(&mut self, points: usize, seed: u64) -> Vec<Genes> {
        let sample = Sample::latin_hypercube(points, self.lengths, seed);
        let corners = [vec![0; self.lengths.len()], self.lengths.iter().map(|l| l - 1).collect()];
        let drawn = (0..points).map(|point| sample.genes(point));
        let mut generation = Vec::new();
        for genes in corners.into_iter().chain(drawn) {
            if generation.len() < points && self.visited.insert(genes.clone()) {
                generation.push(genes);
            }
        }
        // Axes with few values let strata meet.
        while generation.len() < points {
            generation.push(self.any());
        }
        generation
    }

    fn next(&mut self, population: &[Member], ranks: &[Rank], points: usize) -> Vec<Genes> {
        (0..points).map(|_| self.child(population, ranks)).collect()
    }

    fn child(&mut self, population: &[Member], ranks: &[Rank]) -> Genes {
        for _ in 0..ATTEMPTS {
            let mut child = population[self.parent(ranks)].genes.clone();
            if self.random.random_bool(CROSSOVER) {
                let other = &population[self.parent(ranks)].genes;
                for (gene, &other) in child.iter_mut().zip(other) {
                    if self.random.random_bool(0.5) {
                        *gene = other;
                    }
                }
            }
            self.mutate(&mut child);
            if self.visited.insert(child.clone()) {
                return child;
            }
        }
        self.any()
    }

    /// The better of two members drawn at random.
    fn parent(&mut self, ranks: &[Rank]) -> usize {
        let [a, b] = [(); 2].map(|()| self.random.random_range(0..ranks.len()));
        if ranks[b].is_better_than(ranks[a]) { b } else { a }
    }

    /// Changes one gene on average.
    fn mutate(&mut self, genes: &mut Genes) {
        let chance = 1.0 / genes.len().max(1) as f64;
        for (gene, &length) in genes.iter_mut().zip(self.lengths) {
            if !self.random.random_bool(chance) {
                continue;
            }
            *gene = if self.random.random_bool(NEIGHBOUR) {
                let up = self.random.random_bool(0.5);
                if up { (*gene + 1).min(length - 1) } else { gene.saturating_sub(1) }
            } else {
                self.random.random_range(0..length)
            };
        }
    }

    /// A point that has not been visited: one at random, or the next one in the order of the grid. There
    /// is one, for no generation asks for more than are left.
    fn any(&mut self) -> Genes {
        let mut genes: Genes =
            self.lengths.iter().map(|&length| self.random.random_range(0..length)).collect();
        while !self.visited.insert(genes.clone()) {
            for (gene, &length) in genes.iter_mut().zip(self.lengths).rev() {
                *gene = (*gene + 1) % length;
                if *gene != 0 {
                    break;
                }
            }
        }
        genes
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::explore::hypervolume::hypervolume;

    /// Visits what a search asks for, and returns it in its order.
    fn visited(
        lengths: &[usize],
        budget: Budget,
        seed: u64,
        costs: impl Fn(&Genes) -> Costs,
    ) -> Vec<Genes> {
        let mut all = Vec::new();
        let outcome: Result<(), Infallible> = search(lengths, budget, seed, |generation| {
            all.extend_from_slice(generation);
            Ok(generation.iter().map(&costs).collect())
        });
        outcome.unwrap();
        all
    }

    /// A trade between three things with a bend, on axes that matter unequally.
    fn trade(genes: &Genes) -> Costs {
        let [a, b, c, d] = [0, 1, 2, 3].map(|place| genes[place] as f64);
        let time = 100.0 / (1.0 + a.min(2.0 * b)) + 3.0 * (c - 4.0).powi(2) + d;
        Some(vec![time, a + b, 1.0 + c * d])
    }

    #[test]
    fn no_point_is_visited_twice_and_the_budget_is_kept() {
        let budget = Budget { points: 300, population: 16 };
        for lengths in [vec![9, 9, 9, 9], vec![2, 3, 1, 4], vec![400, 1, 1, 1]] {
            let all: usize = lengths.iter().product();
            let points = visited(&lengths, budget, 1, trade);
            assert_eq!(points.len(), all.min(300), "{lengths:?}");
            let distinct: BTreeSet<&Genes> = points.iter().collect();
            assert_eq!(distinct.len(), points.len());
            for point in &points {
                assert!(point.iter().zip(&lengths).all(|(gene, length)| gene < length));
            }
        }
    }

    #[test]
    fn the_seed_decides_the_search() {
        let budget = Budget { points: 100, population: 10 };
        let of = |seed| visited(&[9, 9, 9, 9], budget, seed, trade);
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
    }

    #[test]
    fn a_tenth_of_the_points_gives_nearly_all_of_the_front_and_more_than_a_sample() {
        let lengths = [9usize; 4];
        let all: Vec<Vec<f64>> = (0..6561)
            .filter_map(|point| trade(&Sample::Grid(lengths.to_vec()).genes(point)))
            .collect();
        let worst: Vec<f64> =
            (0..3).map(|at| all.iter().map(|costs| costs[at]).fold(0.0, f64::max) + 1.0).collect();
        let whole = hypervolume(&all, &worst);
        for seed in 0..5 {
            let found = visited(&lengths, Budget { points: 656, population: 64 }, seed, trade);
            let costs: Vec<Vec<f64>> = found.iter().filter_map(trade).collect();
            let share = hypervolume(&costs, &worst) / whole;
            let drawn = Sample::latin_hypercube(656, &lengths, seed);
            let drawn: Vec<Vec<f64>> =
                (0..656).filter_map(|point| trade(&drawn.genes(point))).collect();
            let blind = hypervolume(&drawn, &worst) / whole;
            assert!(share > 0.99 && share > blind, "{seed}: {share} against {blind}");
        }
    }

    #[test]
    fn points_without_costs_are_left_behind() {
        // Only a corner of the space can be built.
        let costs = |genes: &Genes| if genes[0] < 3 && genes[1] < 3 { trade(genes) } else { None };
        let points = visited(&[9; 4], Budget { points: 300, population: 20 }, 2, costs);
        let good = points[150..].iter().filter(|genes| costs(genes).is_some()).count();
        assert!(good > 75, "{good} of 150, and a ninth by chance");
    }

    #[test]
    fn fronts_are_peeled_and_ends_are_lonely() {
        let member = |costs: Costs| Member { genes: Vec::new(), costs };
        let points = [[1.0, 4.0], [2.0, 3.0], [4.0, 1.0], [3.0, 4.0], [4.0, 4.0]];
        let mut members: Vec<Member> =
            points.iter().map(|costs| member(Some(costs.to_vec()))).collect();
        members.push(member(None));
        let ranks = ranks(&members);
        let fronts: Vec<usize> = ranks.iter().map(|rank| rank.front).collect();
        assert_eq!(fronts, [0, 0, 0, 1, 2, usize::MAX]);
        let crowding: Vec<f64> = ranks[..3].iter().map(|rank| rank.crowding).collect();
        assert_eq!(crowding, [f64::INFINITY, 2.0, f64::INFINITY]);
    }
}
