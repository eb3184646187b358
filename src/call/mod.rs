//! Room call.
