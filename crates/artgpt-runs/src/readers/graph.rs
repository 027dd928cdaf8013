//! Parses the `GraphDef` messages (`tensorflow/core/framework/graph.proto`) of PyTorch and TensorFlow.

use super::protobuf::{Field, fields};
use crate::graph::{Graph, MAX_INPUTS, MAX_ROWS, Node};

/// Limit on the bytes of an operation's type or an input's name; the rest is cut.
const MAX_WORD: usize = 120;
/// Limit on the dimensions shown of a shape.
const MAX_DIMENSIONS: usize = 16;

/// Parses a `GraphDef`; `None` if the message is damaged.
pub(crate) fn graph(message: &[u8]) -> Option<Graph> {
    let (mut nodes, mut left_out) = (Vec::new(), 0);
    for entry in fields(message) {
        let (1, Field::Bytes(inner)) = entry? else { continue };
        match nodes.len() < MAX_ROWS {
            true => nodes.push(node(inner)?),
            false => left_out += 1,
        }
    }
    Some(Graph::of(&nodes, left_out))
}

fn node(message: &[u8]) -> Option<Node> {
    let mut node = Node::default();
    for entry in fields(message) {
        match entry? {
            (1, Field::Bytes(name)) => node.name = words(name, MAX_WORD * 4),
            (2, Field::Bytes(op)) => node.op = words(op, MAX_WORD),
            (3, Field::Bytes(input)) if node.inputs.len() < MAX_INPUTS => {
                node.inputs.push(words(input, MAX_WORD));
            }
            (3, _) => node.more_inputs += 1,
            (5, Field::Bytes(attribute)) => {
                if let Some(shape) = output_shape(attribute)? {
                    node.shape = shape;
                }
            }
            _ => {}
        }
    }
    Some(node)
}

fn words(bytes: &[u8], longest: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(longest)]).into_owned()
}

/// The first shape of the attribute `_output_shapes`; `Some(None)` for other attributes.
fn output_shape(attribute: &[u8]) -> Option<Option<String>> {
    let (mut is_shapes, mut value): (bool, &[u8]) = (false, &[]);
    for entry in fields(attribute) {
        match entry? {
            (1, Field::Bytes(key)) => is_shapes = key == b"_output_shapes",
            (2, Field::Bytes(inner)) => value = inner,
            _ => {}
        }
    }
    if !is_shapes {
        return Some(None);
    }
    // AttrValue.list.shape
    let Some(list) = first(value, 1)? else { return Some(None) };
    let Some(shape) = first(list, 7)? else { return Some(None) };
    let mut sizes = Vec::new();
    for entry in fields(shape) {
        let (2, Field::Bytes(dimension)) = entry? else { continue };
        let mut size = 0;
        for entry in fields(dimension) {
            if let (1, Field::Varint(number)) = entry? {
                size = number as i64;
            }
        }
        // -1: a dimension that is not known in advance.
        let known = if size < 0 { "?".to_string() } else { size.to_string() };
        if sizes.len() < MAX_DIMENSIONS {
            sizes.push(known);
        }
    }
    Some(Some(format!("[{}]", sizes.join(", "))))
}

/// The first field with this number; `None` if the message is damaged, `Some(None)` if it has none.
fn first(message: &[u8], number: u32) -> Option<Option<&[u8]>> {
    for entry in fields(message) {
        match entry? {
            (at, Field::Bytes(inner)) if at == number => return Some(Some(inner)),
            _ => {}
        }
    }
    Some(None)
}
