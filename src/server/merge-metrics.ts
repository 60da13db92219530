/**
 * Adds the metrics of `other` to `own`, both in Prometheus's text format. A family that both have appears once, with the
 * HELP and TYPE of `own`; of a series that both have, `own` counts: it saw the requests, while an engine may have seen
 * batches.
 */
export function mergeMetrics(own: string, other: string): string {
  if (other.trim() === '') return own
  const families = parse(own)
  for (const [name, family] of parse(other)) {
    const known = families.get(name)
    if (known === undefined) {
      families.set(name, family)
      continue
    }
    for (const [series, line] of family.samples) if (!known.samples.has(series)) known.samples.set(series, line)
  }
  const text = [...families.values()].map(({ head, samples }) => [...head, ...samples.values()].join('\n'))
  return `${text.join('\n\n')}\n`
}

interface Family {
  /** HELP and TYPE. */
  readonly head: string[]
  /** Lines by series: the name and its labels, in order. */
  readonly samples: Map<string, string>
}

function parse(text: string): Map<string, Family> {
  const families = new Map<string, Family>()
  let current: { name: string; family: Family } | undefined
  const open = (name: string): Family => {
    if (current?.name === name) return current.family
    const family = families.get(name) ?? { head: [], samples: new Map() }
    families.set(name, family)
    current = { name, family }
    return family
  }
  for (const line of text.split('\n')) {
    const comment = /^#\s+(?:HELP|TYPE)\s+(\S+)/.exec(line)
    if (comment) {
      open(comment[1] as string).head.push(line)
      continue
    }
    const sample = /^([A-Za-z_:][\w:]*)(\{.*\})?\s/.exec(line)
    if (!sample) continue
    const [, name = '', labels = ''] = sample
    // The samples of a histogram or summary carry the family's name and an ending.
    const inside = current !== undefined && name.startsWith(current.name) && current.family.head.length > 0
    const plain = inside && /^(?:_bucket|_sum|_count|_total|_created)?$/.test(name.slice(current?.name.length))
    const family = plain && !families.has(name) ? (current as { family: Family }).family : open(name)
    family.samples.set(name + sorted(labels), line)
  }
  return families
}

/** Labels in the order of their names: two writers may have them in another. */
function sorted(labels: string): string {
  return (labels.match(/[A-Za-z_]\w*="(?:[^"\\]|\\.)*"/g) ?? []).sort().join(',')
}
