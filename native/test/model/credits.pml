/* Credits of decoupled models: the bounded set of records for partial completions. Port::claim_part, Port::retire_one,
 * Port::cancel and Port::close of port.cc, Batch::part of batch.cc.
 *
 * Engines that run (each a request of the same port) send parts and wait when the environment has not read; the
 * environment reads, aborts or closes. A step is one access to shared memory in program order. The handshake is that of
 * a futex on a counter: the claimer reads the word, then the state and the map; the reader changes the map, then the
 * word. Release and acquire suffice for it, since word and map are read in the opposite order to their writing.
 *
 * An abort and a close do not change the word: for them the wait ends after a millisecond (TIMER). Reading must do
 * without, so the configuration without aborts has no timer. */

#ifndef ENGINES
#define ENGINES 2
#endif
#ifndef SENDS
#define SENDS 2 /* parts an engine has to send */
#endif
#ifndef PARTS
#define PARTS 1 /* kParts: records there are */
#endif
#ifndef ABORTS
#define ABORTS 1 /* whether the environment may abort requests and close; else it reads everything */
#endif
#ifndef TIMER
#define TIMER ABORTS
#endif
#define NONE 255
#define ALL_PARTS ((1 << PARTS) - 1)

byte part_map = ALL_PARTS; /* Port::part_map_ */
byte part_word;            /* Port::part_word_: a counter */
bool asleep[ENGINES];      /* in the kernel, on the futex of the word */
bool pending[ENGINES] = true;
bool closed;
chan ring = [PARTS + 1] of { byte };

byte holder[PARTS]; /* ghosts: 0 nobody, 1 an engine, 2 the ring, 3 the environment */
byte sent, read, done_count;
bool gone;

proctype engine(byte request) {
  byte part = NONE, map, word, count;
  do
  :: count < SENDS ->
    /* Port::claim_part */
    do
    :: true ->
#ifndef BUG_CREDITS_READS_WORD_LAST
      word = part_word; /* model: credits.word */
#endif
#ifndef BUG_CREDITS_CLOSE_UNSEEN
      if
      :: !pending[request] || closed -> word = 0; goto let_go /* model: credits.let_go */
      :: else
      fi;
#endif
      map = part_map; /* model: credits.map */
      do
      :: map != 0 ->
#ifdef BUG_CREDITS_CLAIM_STORES
        part = (map & 1 -> 0 : 1);
        part_map = map & ~(1 << part);
        d_step { assert(holder[part] == 0); holder[part] = 1; map = 0; word = 0 };
        goto claimed
#else
        if
        :: d_step { part_map == map -> part = (map & 1 -> 0 : 1); part_map = map & ~(1 << part);
             assert(holder[part] == 0); /* a credit has one holder */
             holder[part] = 1; map = 0; word = 0 }; /* model: credits.claim */
           goto claimed
        :: atomic { part_map != map -> map = part_map }
        fi
#endif
      :: map == 0 -> break
      od;
#ifdef BUG_CREDITS_READS_WORD_LAST
      word = part_word;
#endif
      skip;
      d_step { if :: part_word == word -> asleep[request] = true :: else fi; word = 0 }; /* model: futex.wait: the kernel compares */
#if TIMER
#ifndef BUG_CREDITS_NO_TIMER
      asleep[request] = false /* model: credits.timer: or after a millisecond */
#else
      !asleep[request]
#endif
#else
      !asleep[request]
#endif
    od;
claimed: skip;
    /* Batch::part: write the record, push it, wake the environment (completion.pml). */
    d_step { assert(holder[part] == 1 && nfull(ring)); holder[part] = 2; ring!part; part = NONE; sent++ }; /* model: batch.part */
    count++
  :: count == SENDS -> break
  od;
let_go: skip;
  d_step { part = NONE; map = 0; count = 0; done_count++; pending[request] = false }
}

proctype environment() {
  byte part = NONE;
  do
  :: atomic { ring?part; assert(holder[part] == 2); holder[part] = 3 }; /* model: ring.take */
    /* Port::retire_one */
#ifdef BUG_CREDITS_WORD_FIRST
    part_word++;
    d_step { asleep[0] = false; asleep[ENGINES - 1] = false };
    d_step { holder[part] = 0; part_map = part_map | (1 << part) };
#else
#ifdef BUG_CREDITS_LOST
    holder[part] = 0;
#else
    d_step { assert(!(part_map & (1 << part))); holder[part] = 0; part_map = part_map | (1 << part) }; /* model: credits.return */
#endif
    part_word++; /* model: credits.return.word */
    d_step { asleep[0] = false; asleep[ENGINES - 1] = false }; /* model: credits.wake: all of them */
#endif
    read++;
    part = NONE
  :: ABORTS && pending[0] -> pending[0] = false /* model: word.cancel */
  :: ABORTS -> break
  :: done_count == ENGINES && empty(ring) -> break
  od;
  closed = true; /* model: port.close */
  gone = true
}

init {
  atomic {
    byte i = 0;
    do :: i < ENGINES -> run engine(i); i++ :: else -> break od;
    run environment()
  }
}

/* An engine that waits for credit is let go in the end: its environment reads, aborts or closes. */
ltl let_go { <> (done_count == ENGINES && gone) }
/* No credit is lost: when everything was read, all records are free again. */
ltl all_back { [] ((gone && !ABORTS) -> (part_map == ALL_PARTS && sent == ENGINES * SENDS && read == sent)) }
