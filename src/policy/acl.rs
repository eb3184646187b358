//! What a consumer may call.

/// The rule over actions of one consumer, `[consumer.X.actions]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionRules {
    /// Names that are allowed; `*` stands for every action that is not marked `danger` in the
    /// catalogue. `None` allows what `["*"]` allows.
    pub allow: Option<Vec<String>>,
}
