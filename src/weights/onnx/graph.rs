//! Builds an ONNX graph node by node.
//!
//! Source of the field numbers: ONNX's `onnx.proto`.

use crate::protobuf::Message;

/// An ONNX graph under construction.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Message>,
    initializers: Vec<Message>,
    inputs: Vec<Message>,
    outputs: Vec<Message>,
}

/// A dimension of an input or an output.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dim {
    /// A fixed length.
    Fixed(usize),
    /// Any length. Dimensions with equal names have equal lengths.
    Named(&'static str),
}

/// Element types, numbered as in ONNX.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// An attribute of a node.
#[derive(Debug)]
pub(super) enum Attribute {
    Int(&'static str, i64),
    Ints(&'static str, Vec<i64>),
}

impl Graph {
    /// Adds a node with one output and returns the output's name.
    pub(super) fn node(&mut self, op: &str, inputs: &[&str], attributes: &[Attribute]) -> String {
        let output = format!("{op}_{}", self.nodes.len());
        self.named(op, inputs, &output, attributes);
        output
    }

    /// Adds a node with one output that has the given name.
    pub(super) fn named(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[Attribute],
    ) {
        let node = inputs.iter().fold(Message::default(), |node, input| node.text(1, input));
        let node = node.text(2, output).text(3, output).text(4, op);
        let node = attributes.iter().fold(node, |node, a| node.message(5, &a.message()));
        self.nodes.push(node);
    }

    /// Adds a 32-bit floating-point constant and returns its name.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, shape, FLOAT, &raw)
    }

    /// Adds a constant vector of 64-bit integers and returns its name.
    pub(super) fn ints(&mut self, values: &[i64]) -> String {
        let name = format!("ints_{}", self.initializers.len());
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(&name, &[values.len()], INT64, &raw)
    }

    /// Adds a 32-bit floating-point scalar, which broadcasts to any shape, and returns its name.
    pub(super) fn number(&mut self, value: f32) -> String {
        let name = format!("number_{}", self.initializers.len());
        self.floats(&name, &[], &[value])
    }

    fn constant(&mut self, name: &str, shape: &[usize], kind: i64, raw: &[u8]) -> String {
        let tensor = shape.iter().fold(Message::default(), |t, &length| t.int(1, length as i64));
        self.initializers.push(tensor.int(2, kind).text(8, name).bytes(9, raw));
        name.to_owned()
    }

    /// Declares a 32-bit floating-point input.
    pub(super) fn input(&mut self, name: &str, shape: &[Dim]) {
        self.inputs.push(value_info(name, FLOAT, shape));
    }

    /// Declares a 32-bit floating-point output.
    pub(super) fn output(&mut self, name: &str, shape: &[Dim]) {
        self.outputs.push(value_info(name, FLOAT, shape));
    }

    /// Declares a 64-bit integer output.
    pub(super) fn int_output(&mut self, name: &str, shape: &[Dim]) {
        self.outputs.push(value_info(name, INT64, shape));
    }

    /// Encodes the graph as a `GraphProto` with the given name.
    pub(super) fn message(&self, name: &str) -> Message {
        let repeated = |graph, field, messages: &[Message]| {
            messages.iter().fold(graph, |graph: Message, message| graph.message(field, message))
        };
        let graph = repeated(Message::default(), 1, &self.nodes).text(2, name);
        let graph = repeated(graph, 5, &self.initializers);
        let graph = repeated(graph, 11, &self.inputs);
        repeated(graph, 12, &self.outputs)
    }
}

impl Attribute {
    fn message(&self) -> Message {
        const TYPE_INT: i64 = 2;
        const TYPE_INTS: i64 = 7;
        match self {
            Self::Int(name, value) => {
                Message::default().text(1, name).int(3, *value).int(20, TYPE_INT)
            }
            Self::Ints(name, values) => {
                let attribute = Message::default().text(1, name);
                let attribute = values.iter().fold(attribute, |a, &value| a.int(8, value));
                attribute.int(20, TYPE_INTS)
            }
        }
    }
}

fn value_info(name: &str, kind: i64, shape: &[Dim]) -> Message {
    let shape = shape.iter().fold(Message::default(), |shape, dim| {
        let dim = match *dim {
            Dim::Fixed(length) => Message::default().int(1, length as i64),
            Dim::Named(name) => Message::default().text(2, name),
        };
        shape.message(1, &dim)
    });
    let tensor = Message::default().int(1, kind).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}
