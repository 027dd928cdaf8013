# Recipes for https://just.systems; each is one command, which can be typed without it.

# List the recipes.
default:
    @just --list

# Tests that need no model and no network, in under two minutes.
quick:
    cargo nextest run --release --profile quick

# Everything that decides whether a change lands, then what does not fit into it.
full:
    .ci/run
    .ci/full

# Format the code.
fmt:
    cargo fmt --all

# Report what clippy and the dependency rules find.
lint:
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets --locked -- -D warnings
    cargo deny --offline check bans licenses sources

# Report known vulnerabilities in dependencies; fetches the advisory database.
advisories:
    cargo deny check advisories

# Run the benchmarks.
bench *ARGS:
    cargo bench --locked {{ARGS}}

# Build the documentation of our crates.
docs:
    cargo doc --workspace --no-deps --locked
