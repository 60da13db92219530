/* The inbox and the leader token, access by access: native/queue/inbox.h, native/queue/leader_token.h.
 *
 * Submitters push while leaders lock, take, turn the chain round, and unlock. instances.pml uses push, take and
 * try_lock as one step each; this is why it may. */

#ifndef SUBMITTERS
#define SUBMITTERS 2
#endif
#define EACH 2
#define SLOTS (SUBMITTERS * EACH) /* slot s belongs to submitter s % SUBMITTERS, in ascending order */
#define LEADERS 2
#define NONE 255

byte head = NONE;               /* Inbox::head_ */
byte inbox_next[SLOTS] = NONE;  /* Descriptor::inbox_next */
bool token;                     /* LeaderToken::held_ */

byte pushed, leaders, taken_count;     /* ghosts */
bool taken[SLOTS];
byte last_of[SUBMITTERS];

active [SUBMITTERS] proctype submitter() {
  byte slot = _pid, seen;
  do
  :: slot < SLOTS ->
    seen = head; /* model: inbox.push.load */
    do
    :: inbox_next[slot] = seen; /* model: inbox.push.link */
#ifdef BUG_INBOX_PUSH_STORES
      head = slot; break
#else
      if
      :: atomic { head == seen -> head = slot; break } /* model: inbox.push */
      :: atomic { head != seen -> seen = head }
      fi
#endif
    od;
    atomic { pushed++; slot = slot + SUBMITTERS }
  :: else -> break
  od
}

active [LEADERS] proctype leader() {
  byte newest = NONE, oldest_first = NONE, older = NONE;
end:
  do
  :: taken_count == SLOTS -> break
  :: !token -> /* model: token.try_lock.look */
    if
#ifdef BUG_TOKEN_TRY_LOCK_STORES
    :: d_step { token = true; leaders++ }
#else
    :: d_step { !token -> token = true; leaders++ } /* model: token.try_lock */
    :: token -> goto again
#endif
    fi;
    assert(leaders == 1); /* the token has one holder */
    if
    :: head == NONE
    :: head != NONE -> /* model: inbox.take.look */
#ifdef BUG_INBOX_TAKE_STORES
      newest = head;
      head = NONE;
#else
      atomic { newest = head; head = NONE }; /* model: inbox.take */
#endif
      do
      :: newest != NONE ->
        older = inbox_next[newest]; /* model: inbox.take.turn */
        inbox_next[newest] = oldest_first;
        atomic { oldest_first = newest; newest = older }
      :: else -> break
      od;
      do
      :: oldest_first != NONE ->
        atomic { /* model: core.drain_inbox */
          assert(!taken[oldest_first]); /* each exactly once */
          taken[oldest_first] = true;
          taken_count++;
          assert(oldest_first / SUBMITTERS == last_of[oldest_first % SUBMITTERS]); /* oldest first, none left out */
          last_of[oldest_first % SUBMITTERS]++;
          older = inbox_next[oldest_first];
          oldest_first = older
        }
      :: else -> older = NONE; break
      od
    fi;
#ifdef BUG_TOKEN_KEPT
    if :: taken_count < SLOTS && taken_count > 0 -> break :: else fi; /* returns early without unlock() */
#endif
    skip;
    d_step { leaders--; token = false } /* model: token.unlock */
again: skip
  od
}

/* Whatever was pushed is taken, as long as leaders come. */
ltl all_taken { <> (taken_count == SLOTS) }
