//! The simulator's command line.
use sim::case::Case;
use sim::world::World;

fn main() {
    let from: u64 = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(0);
    let to: u64 = std::env::args().nth(2).and_then(|a| a.parse().ok()).unwrap_or(from + 1);
    let traced = std::env::args().nth(3).is_some();
    for seed in from..to {
        let mut world = World::new(Case::drawn(seed, &[]), traced);
        world.run();
        let v = world.verdict();
        for line in world.lines() {
            println!("{:>12.6} {} {}", line.at as f64 / 1e9, line.host, line.text);
        }
        println!("{seed}: hash {:016x} events {} time {} requests {} jobs {:?} {:?}", v.hash, v.events, v.time / 1_000_000, v.requests, v.jobs, v.failure);
    }
}
