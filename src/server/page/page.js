// Draw a digit; each change posts the canvas as a PNG and shows the answer, and the Server-Timing of that answer.
const byId = (id) => document.getElementById(id)
const pad = byId('pad')
const pen = pad.getContext('2d', { willReadFrequently: true })
const PEN_WIDTH = 22
const KEPT = 200 // answers that the percentiles are taken from
const STAGES = ['decode', 'preprocess', 'inbox', 'queue', 'prepare', 'compute', 'publish', 'wake']

const serverTimes = []
const tripTimes = []
let drawing = false
let empty = true
let drawn = 0 // counts changes of the canvas, to know when an answer is out of date
let asking = false

function blank() {
  pen.fillStyle = '#000'
  pen.fillRect(0, 0, pad.width, pad.height)
  pen.fillStyle = '#fff'
  pen.strokeStyle = '#fff'
  pen.lineWidth = PEN_WIDTH
  pen.lineCap = 'round'
  pen.lineJoin = 'round'
  empty = true
  drawn++
  byId('hint').hidden = false
  byId('digit').textContent = '–'
  byId('confidence').textContent = 'nothing drawn yet'
  byId('bars').replaceChildren()
  byId('track').replaceChildren()
  byId('stages').replaceChildren()
  byId('spent').textContent = ''
  byId('problem').hidden = true
}

function stroke(from, to) {
  pen.beginPath()
  if (from === to) {
    pen.arc(to[0], to[1], PEN_WIDTH / 2, 0, 2 * Math.PI)
    pen.fill()
  } else {
    pen.moveTo(from[0], from[1])
    pen.lineTo(to[0], to[1])
    pen.stroke()
  }
  empty = false
  drawn++
  byId('hint').hidden = true
}

let last
function place(event) {
  const box = pad.getBoundingClientRect()
  return [((event.clientX - box.left) * pad.width) / box.width, ((event.clientY - box.top) * pad.height) / box.height]
}
pad.addEventListener('pointerdown', (event) => {
  if (event.button !== 0) return
  event.preventDefault()
  pad.setPointerCapture(event.pointerId)
  drawing = true
  last = place(event)
  stroke(last, last)
  ask()
})
pad.addEventListener('pointermove', (event) => {
  if (!drawing) return
  for (const step of event.getCoalescedEvents?.() ?? [event]) {
    const next = place(step)
    stroke(last, next)
    last = next
  }
  ask()
})
for (const end of ['pointerup', 'pointercancel']) {
  pad.addEventListener(end, () => {
    drawing = false
  })
}

/** One request at a time; when the canvas changed meanwhile, the next follows at once. */
async function ask() {
  if (asking || empty || !byId('model').value) return
  asking = true
  const version = drawn
  try {
    const picture = await new Promise((resolve) => pad.toBlob(resolve, 'image/png'))
    const started = performance.now()
    const response = await fetch(`/v1/classify/${encodeURIComponent(byId('model').value)}?k=10`, {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: picture,
    })
    const answer = await response.json()
    const trip = performance.now() - started
    if (!response.ok) throw new Error(`${answer.error.message}. ${answer.error.remedy}`)
    if (!empty) show(answer, stagesOf(response.headers.get('server-timing') ?? ''), trip)
  } catch (error) {
    byId('problem').textContent = error instanceof TypeError ? 'The server does not answer.' : error.message
    byId('problem').hidden = false
  } finally {
    asking = false
    if (drawn !== version) requestAnimationFrame(ask)
  }
}

/** `decode;dur=0.4, compute;dur=0.03` (milliseconds) as [name, microseconds][]. */
function stagesOf(header) {
  const found = new Map()
  for (const part of header.split(',')) {
    const match = /^\s*([\w-]+)\s*;.*?dur=([\d.e+-]+)/.exec(part)
    if (match) found.set(match[1], Number(match[2]) * 1000)
  }
  return STAGES.filter((name) => found.has(name)).map((name) => [name, found.get(name)])
}

function show(answer, stages, trip) {
  byId('problem').hidden = true
  const [best] = answer.top
  if (byId('digit').textContent !== best.label) byId('digit').textContent = best.label
  byId('confidence').textContent = `score ${best.score.toFixed(3)}`
  byId('served').textContent = `${answer.model}, version ${answer.version}`
  showBars(answer.top, best)
  const total = stages.reduce((sum, [, us]) => sum + us, 0)
  showStages(stages, total)
  keep(serverTimes, total)
  keep(tripTimes, trip * 1000)
  byId('spent').textContent = `${time(total)} in the server, ${time(trip * 1000)} round trip`
  byId('server-p50').textContent = time(percentile(serverTimes, 0.5))
  byId('server-p99').textContent = time(percentile(serverTimes, 0.99))
  byId('trip-p50').textContent = time(percentile(tripTimes, 0.5))
  byId('trip-p99').textContent = time(percentile(tripTimes, 0.99))
  byId('answers').textContent = tripTimes.length < KEPT ? `${tripTimes.length}` : `last ${KEPT}`
}

/** In the order of the classes, so that bars grow and shrink in place. */
function showBars(top, best) {
  const rows = [...top].sort((a, b) => a.index - b.index)
  const list = byId('bars')
  while (list.children.length > rows.length) list.lastChild.remove()
  while (list.children.length < rows.length) {
    const row = document.createElement('li')
    const meter = element('span', 'meter')
    meter.append(document.createElement('i'))
    row.append(document.createElement('span'), meter, document.createElement('span'))
    list.append(row)
  }
  rows.forEach(({ label, index, score }, i) => {
    const row = list.children[i]
    row.className = index === best.index ? 'best' : ''
    row.children[0].textContent = label
    row.children[1].firstChild.style.width = `${Math.max(0, Math.min(1, score)) * 100}%`
    row.children[2].textContent = score.toFixed(3)
  })
}

function showStages(stages, total) {
  const track = []
  const list = []
  for (const [name, us] of stages) {
    const piece = document.createElement('i')
    piece.dataset.stage = name
    piece.style.width = `${total > 0 ? (us / total) * 100 : 0}%`
    piece.title = `${name} ${time(us)}`
    track.push(piece)
    const item = document.createElement('li')
    const swatch = document.createElement('i')
    swatch.dataset.stage = name
    const value = document.createElement('b')
    value.textContent = time(us)
    item.append(swatch, name, value)
    list.push(item)
  }
  byId('track').replaceChildren(...track)
  byId('stages').replaceChildren(...list)
}

function element(tag, className) {
  const made = document.createElement(tag)
  made.className = className
  return made
}

function keep(list, value) {
  list.push(value)
  if (list.length > KEPT) list.shift()
}

function percentile(list, q) {
  const sorted = [...list].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)]
}

function time(us) {
  if (us < 10) return `${us.toFixed(1)} µs`
  return us < 100_000 ? `${Math.round(us).toLocaleString('en')} µs` : `${(us / 1000).toFixed(0)} ms`
}

// For those who cannot draw: strokes in a square of 100.
const SAMPLES = [
  [[28, 20, 74, 20, 46, 82]],
  [[30, 30, 38, 20, 55, 17, 68, 26, 66, 40, 48, 57, 28, 80, 74, 80]],
  [[30, 22, 50, 16, 66, 24, 64, 40, 48, 48, 66, 56, 70, 70, 56, 83, 30, 79]],
  [
    [56, 16, 27, 60, 76, 60],
    [60, 38, 60, 86],
  ],
  [[50, 16, 32, 26, 27, 50, 34, 76, 50, 84, 66, 76, 73, 50, 67, 26, 50, 16]],
]
let next = 0
byId('sample').addEventListener('click', () => {
  blank()
  for (const line of SAMPLES[next++ % SAMPLES.length]) {
    for (let i = 2; i < line.length; i += 2) {
      stroke([line[i - 2] * 2.8, line[i - 1] * 2.8], [line[i] * 2.8, line[i + 1] * 2.8])
    }
  }
  ask()
})
byId('clear').addEventListener('click', blank)
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') blank()
})

function forget() {
  serverTimes.length = 0
  tripTimes.length = 0
}
byId('model').addEventListener('change', () => {
  forget()
  showCurl()
  drawn++
  ask()
})

function showCurl() {
  const url = `${location.origin}/v1/classify/${byId('model').value}?k=3`
  byId('curl').textContent = `curl -s --data-binary @picture.png '${url}'`
}

async function listModels() {
  const response = await fetch('/v2/repository/index', { method: 'POST', body: '{"ready":true}' })
  const served = [...new Set((await response.json()).map((entry) => entry.name))]
  const digits = served.filter((name) => name.startsWith('digits'))
  const names = digits.length > 0 ? digits : served
  byId('model').replaceChildren(...names.map((name) => new Option(name)))
  byId('model').disabled = names.length < 2
  if (names.length === 0) throw new Error('No model is ready. Its reason is in /v2/repository/index.')
  showCurl()
}

blank()
listModels().catch((error) => {
  byId('problem').textContent = error.message
  byId('problem').hidden = false
})
