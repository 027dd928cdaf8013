//! A model graph as in TensorBoard: operations whose names are paths through scopes.

use std::collections::BTreeMap;

/// The tree of scopes and operations, in depth-first order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    /// Scopes and operations.
    pub rows: Vec<Row>,
    /// Number of all operations.
    pub operations: usize,
    /// Operations without a row, because there are too many.
    pub left_out: usize,
}

/// A scope or an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Number of scopes around it.
    pub depth: usize,
    /// The last part of its path.
    pub name: String,
    /// Operation type, output shape and inputs; empty for a scope.
    pub what: String,
    /// Number of operations inside it.
    pub inside: usize,
}

/// An operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its path, with `/` between scopes.
    pub name: String,
    /// Its type, such as `MatMul`.
    pub op: String,
    /// Shape of its first output, such as `[8, 16]`; empty if unknown.
    pub shape: String,
    /// Names of the first [`MAX_INPUTS`] inputs.
    pub inputs: Vec<String>,
    /// Number of further inputs.
    pub more_inputs: usize,
}

/// Limit on the operations kept and on the rows of the tree.
pub const MAX_ROWS: usize = 20_000;
/// Limit on nested scopes; the deepest scope keeps the rest of the path as its name.
const MAX_DEPTH: usize = 24;
/// Limit on the inputs that a row names.
pub const MAX_INPUTS: usize = 4;

#[derive(Default)]
struct Scope {
    below: BTreeMap<String, Scope>,
    what: String,
    inside: usize,
}

impl Graph {
    /// The tree of these operations; `more` operations are not among them.
    pub fn of(nodes: &[Node], more: usize) -> Self {
        let (mut top, mut rows) = (Scope::default(), 0);
        let mut left_out = more;
        for node in nodes {
            // The scopes of an operation take rows too.
            if rows + MAX_DEPTH > MAX_ROWS {
                left_out += 1;
                continue;
            }
            let mut scope = &mut top;
            let name = node.name.trim_matches('/');
            for part in name.splitn(MAX_DEPTH, '/') {
                scope.inside += 1;
                scope = scope.below.entry(part.to_string()).or_insert_with(|| {
                    rows += 1;
                    Scope::default()
                });
            }
            scope.what = describe(node);
        }
        let mut graph = Self { rows: Vec::new(), operations: nodes.len() + more, left_out };
        graph.put(top, 0);
        graph
    }

    fn put(&mut self, scope: Scope, depth: usize) {
        for (name, below) in scope.below {
            let (what, inside) = (below.what.clone(), below.inside);
            self.rows.push(Row { depth, name, what, inside });
            self.put(below, depth + 1);
        }
    }

    /// Depth of the tree.
    pub fn levels(&self) -> usize {
        self.rows.iter().map(|row| row.depth + 1).max().unwrap_or(0)
    }
}

fn describe(node: &Node) -> String {
    let scope = node.name.rsplit_once('/').map_or("", |(scope, _)| scope);
    // Inputs in the same scope are named without it.
    let near = |input: &String| {
        let name = input.strip_prefix(scope).and_then(|rest| rest.strip_prefix('/'));
        name.unwrap_or(input).to_string()
    };
    let mut inputs: Vec<String> = node.inputs.iter().map(near).collect();
    if node.more_inputs > 0 {
        inputs.push(format!("and {} more", node.more_inputs));
    }
    let mut parts = vec![node.op.clone(), node.shape.clone()];
    if !inputs.is_empty() {
        parts.push(format!("of {}", inputs.join(", ")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_stand_below_their_scopes() {
        let node = |name: &str, op: &str, inputs: &[&str]| Node {
            name: name.into(),
            op: op.into(),
            inputs: inputs.iter().map(|s| s.to_string()).collect(),
            ..Node::default()
        };
        let nodes = [
            node("net/fc/add", "add", &["net/fc/mul", "input"]),
            node("net/fc/mul", "mul", &[]),
            node("input", "IO Node", &[]),
        ];
        let graph = Graph::of(&nodes, 0);
        let rows = graph.rows.iter().map(|r| (r.depth, r.name.as_str(), r.what.as_str(), r.inside));
        let expected = [
            (0, "input", "IO Node", 0),
            (0, "net", "", 2),
            (1, "fc", "", 2),
            (2, "add", "add  of mul, input", 0),
            (2, "mul", "mul", 0),
        ];
        assert_eq!(rows.collect::<Vec<_>>(), expected);
        assert_eq!(graph.levels(), 3);
    }
}
