//! What the overlay looks like from above.

/// An undirected graph over nodes 0.., by adjacency.
#[derive(Debug)]
pub struct Graph {
    /// Neighbours of each node; nodes that do not take part have `None`.
    pub adjacent: Vec<Option<Vec<u32>>>,
}

impl Graph {
    /// Nodes that take part.
    #[must_use]
    pub fn len(&self) -> usize {
        self.adjacent.iter().flatten().count()
    }

    /// Whether nobody takes part.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nodes without a neighbour.
    #[must_use]
    pub fn isolated(&self) -> usize {
        self.adjacent
            .iter()
            .flatten()
            .filter(|neighbours| neighbours.is_empty())
            .count()
    }

    /// The lowest, mean and highest number of neighbours.
    #[must_use]
    pub fn degrees(&self) -> (usize, f64, usize) {
        let degrees = || self.adjacent.iter().flatten().map(Vec::len);
        let sum: usize = degrees().sum();
        (
            degrees().min().unwrap_or(0),
            sum as f64 / self.len().max(1) as f64,
            degrees().max().unwrap_or(0),
        )
    }

    /// Connected components.
    #[must_use]
    pub fn components(&self) -> usize {
        let mut seen = vec![false; self.adjacent.len()];
        let mut components = 0;
        for start in 0..self.adjacent.len() {
            if seen[start] || self.adjacent[start].is_none() {
                continue;
            }
            components += 1;
            seen[start] = true;
            let mut stack = vec![start];
            while let Some(node) = stack.pop() {
                for next in self.adjacent[node].iter().flatten() {
                    let next = *next as usize;
                    if !seen[next] {
                        seen[next] = true;
                        stack.push(next);
                    }
                }
            }
        }
        components
    }

    /// Nodes whose loss splits what hangs together (Hopcroft and Tarjan, "Algorithm 447", 1973; without recursion).
    #[must_use]
    pub fn articulation_points(&self) -> usize {
        let n = self.adjacent.len();
        let mut order = vec![0_u32; n];
        let mut low = vec![0_u32; n];
        let mut is_cut = vec![false; n];
        let mut clock = 0;
        for root in 0..n {
            if order[root] != 0 || self.adjacent[root].is_none() {
                continue;
            }
            clock += 1;
            order[root] = clock;
            low[root] = clock;
            let mut children_of_root = 0;
            // Node, its parent, the next neighbour to look at.
            let mut stack = vec![(root, usize::MAX, 0_usize)];
            while let Some((node, parent, at)) = stack.last_mut() {
                let (node, parent) = (*node, *parent);
                let next = self.adjacent[node]
                    .as_ref()
                    .and_then(|neighbours| neighbours.get(*at));
                let Some(next) = next.map(|next| *next as usize) else {
                    stack.pop();
                    if parent != usize::MAX {
                        low[parent] = low[parent].min(low[node]);
                        if parent == root {
                            children_of_root += 1;
                        } else if low[node] >= order[parent] {
                            is_cut[parent] = true;
                        }
                    }
                    continue;
                };
                *at += 1;
                if order[next] == 0 {
                    clock += 1;
                    order[next] = clock;
                    low[next] = clock;
                    stack.push((next, node, 0));
                } else if next != parent {
                    low[node] = low[node].min(order[next]);
                }
            }
            is_cut[root] = children_of_root > 1;
        }
        is_cut.iter().filter(|cut| **cut).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(n: u32, edges: &[(u32, u32)]) -> Graph {
        let mut adjacent = vec![Some(Vec::new()); n as usize];
        for (a, b) in edges {
            adjacent[*a as usize].as_mut().unwrap().push(*b);
            adjacent[*b as usize].as_mut().unwrap().push(*a);
        }
        Graph { adjacent }
    }

    #[test]
    fn a_ring_has_no_cut_a_chain_has_only_cuts_between_its_ends() {
        let ring = graph(5, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)]);
        assert_eq!((ring.components(), ring.articulation_points()), (1, 0));
        let chain = graph(5, &[(0, 1), (1, 2), (2, 3), (3, 4)]);
        assert_eq!((chain.components(), chain.articulation_points()), (1, 3));
    }

    #[test]
    fn two_rings_that_share_a_node_are_cut_there() {
        let edges = [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 2)];
        assert_eq!(graph(5, &edges).articulation_points(), 1);
    }

    #[test]
    fn who_does_not_take_part_does_not_count() {
        let mut halves = graph(5, &[(0, 1), (3, 4)]);
        halves.adjacent[2] = None;
        assert_eq!((halves.components(), halves.isolated(), halves.len()), (2, 0, 4));
    }
}
