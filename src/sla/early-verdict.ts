/** So unlikely must a share of bad events be by chance before a check ends early: it looks many times. */
const CHANCE = 1e-6

/**
 * Whether a target is missed beyond doubt: if bad events came independently at exactly the allowed rate, this many of them
 * would be seen once in a million looks (one-sided exact binomial test).
 */
export function surelyBroken(good: number, total: number, target: number): boolean {
  const bad = total - good
  const allowed = 1 - target
  if (bad <= total * allowed) return false
  return atLeast(bad, total, allowed) < CHANCE
}

/** Probability of `k` or more successes in `n` trials of probability `p`; for k above n p. */
function atLeast(k: number, n: number, p: number): number {
  if (p >= 1) return 1
  if (p <= 0) return k > 0 ? 0 : 1
  let term = Math.exp(
    logFactorial(n) - logFactorial(k) - logFactorial(n - k) + k * Math.log(p) + (n - k) * Math.log1p(-p),
  )
  let sum = 0
  // Each term is the one before, less: k is past the middle.
  for (let i = k; i <= n && term > sum * 1e-12; i++) {
    sum += term
    term *= ((n - i) / (i + 1)) * (p / (1 - p))
  }
  return sum
}

/** Stirling's series; exact to 1e-10 from 10 on. */
function logFactorial(n: number): number {
  if (n < 10) {
    let product = 1
    for (let i = 2; i <= n; i++) product *= i
    return Math.log(product)
  }
  const x = n + 1
  return (
    (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5)
  )
}
