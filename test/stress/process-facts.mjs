import { readdirSync, readFileSync } from 'node:fs'

/** What this process holds: threads, open files, mappings, and memory in MiB. */
export function processFacts() {
  return {
    threads: readdirSync('/proc/self/task').length,
    // readdir itself has the folder open
    handles: readdirSync('/proc/self/fd').length - 1,
    mappings: readFileSync('/proc/self/maps', 'utf8').trimEnd().split('\n').length,
    rssMib: process.memoryUsage.rss() / 2 ** 20,
  }
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Least squares: how much `ys` grows for each 1 of `xs`. */
export function slope(xs, ys) {
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length
  const [x, y] = [mean(xs), mean(ys)]
  const across = xs.reduce((sum, each, i) => sum + (each - x) * (ys[i] - y), 0)
  return across / xs.reduce((sum, each) => sum + (each - x) ** 2, 0)
}

/** How much the median of the last third lies above that of the first: steady growth shows, a single jump less. */
export function growth(ys) {
  const third = Math.floor(ys.length / 3)
  return median(ys.slice(-third)) - median(ys.slice(0, third))
}
