//! Syntax tree of a formula as written, before it is interpreted.

use super::lexer::Span;

/// A node of the tree. The parser bounds its height, so that walking and dropping it need little stack
/// for any input.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) height: usize,
    pub(crate) kind: NodeKind,
}

#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    Number(f64),
    Name(String),
    Call {
        function: String,
        arguments: Vec<Node>,
    },
    Paren(Box<Node>),
    Sign {
        minus: bool,
        operand: Box<Node>,
    },
    /// Two or more summands, as a list because a sum may have thousands.
    Sum(Vec<Summand>),
    Binary {
        operator: Operator,
        position: usize,
        left: Box<Node>,
        right: Box<Node>,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Summand {
    /// Whether it is subtracted; false for the first.
    pub(crate) minus: bool,
    pub(crate) node: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Times,
    Divide,
    Power,
    Interact,
    In,
    Bar,
    DoubleBar,
}

impl Node {
    /// Returns the node without the parentheses around it.
    pub(crate) fn bare(&self) -> &Node {
        let mut node = self;
        while let NodeKind::Paren(inner) = &node.kind {
            node = inner;
        }
        node
    }

    /// Returns the two sides of a bar, and whether it is double; `None` for other nodes.
    pub(crate) fn bar(&self) -> Option<(&Node, &Node, bool)> {
        match &self.kind {
            NodeKind::Binary { operator: Operator::Bar, left, right, .. } => Some((left, right, false)),
            NodeKind::Binary { operator: Operator::DoubleBar, left, right, .. } => Some((left, right, true)),
            _ => None,
        }
    }
}

/// `response ~ terms`.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    pub(crate) left: Node,
    pub(crate) right: Node,
    /// Name and byte position of every column, in order.
    pub(crate) names: Vec<(String, usize)>,
}
