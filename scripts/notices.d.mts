/** The parts of scripts/bundled.json with their versions. */
export function bundledParts(): { name: string; version: string; licence: string; npm?: string; library?: string }[]

/** What of THIRD_PARTY_NOTICES.md differs from what it should be, a line each. */
export function checkNotices(): string[]
