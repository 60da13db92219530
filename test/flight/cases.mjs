// In a process of its own (see run.mjs): makes requests slow in each of six ways and reports what was named first.
import { INJECTIONS, sleep } from './injections.mjs'

const { seed, count, group, cpus, only } = JSON.parse(process.argv[2])

function mulberry32(start) {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const random = mulberry32(seed)
/** Cases after which they are explained: what is seen of the host comes a little later than the request. */
const TOGETHER = 5
/** Cases in which what was to happen did not happen are made again, so often. */
const TRIES = 3

for (const [name, make] of Object.entries(INJECTIONS)) {
  if (only !== undefined && only !== name) continue
  let done = 0
  let tries = 0
  let injection = await make(random, { group, cpus })
  if (injection === undefined) {
    process.send({ name, skipped: 'no CPU cgroup can be made here' })
    continue
  }
  let own = 0
  while (done < count && tries < TRIES * count) {
    if (own >= (injection.cases ?? Infinity)) {
      await injection.end?.()
      await injection.model.close()
      injection = await make(random, { group, cpus })
      own = 0
    }
    const batch = []
    for (let i = 0; i < TOGETHER && done + batch.length < count && tries < TRIES * count; i++) {
      tries++
      const { id, injected } = await injection.once()
      if (injected) batch.push(id)
      own++
    }
    await sleep(130)
    const all = new Map(injection.model.slowRequests().map((each) => [each.id, each]))
    for (const id of batch) {
      const found = all.get(id)
      done++
      process.send({
        name,
        expected: injection.cause,
        first: found?.causes[0]?.kind ?? 'not kept',
        text: found?.text,
        total: found?.totalMs,
        sum: found?.causes.reduce((ms, cause) => ms + cause.ms, 0),
      })
    }
  }
  await injection.end?.()
  await injection.model.close()
}
process.disconnect()
