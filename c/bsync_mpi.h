/*
 * bsync_mpi: the few calls of MPI that a pool needs, behind an ABI of plain
 * integers and pointers.
 *
 * MPI fixes an API, not an ABI: handles are ints in MPICH and pointers in Open
 * MPI, constants differ, and so a program cannot call libmpi without having
 * been compiled against its mpi.h. This file is what is compiled: on the
 * machine where it runs, by that site's mpicc. It holds no policy and calls
 * nobody back.
 *
 * Rules that hold for every function:
 *
 * - It returns an int: 0 or more is an answer, less than 0 is minus an error
 *   code, either MPI's own or one of the BSYNC_E_ codes of bsync_codes.h.
 *   Errors are returned, never fatal (MPI_ERRORS_RETURN, MPI 4.0 section 9.3),
 *   except in [bsync_mpi_init] before MPI has an error handler to ask.
 * - Before [bsync_mpi_init] and after [bsync_mpi_finalize] it answers
 *   -BSYNC_E_FRESH or -BSYNC_E_CLOSED and touches nothing, but for those that
 *   say something else below.
 * - All calls come from the thread that called [bsync_mpi_init]
 *   (MPI_THREAD_FUNNELED, section 11.6).
 * - No address is kept after the call, but for those given to
 *   [bsync_mpi_send] and [bsync_mpi_receive], as told there.
 * - Messages travel on a duplicate of MPI_COMM_WORLD, so they never meet
 *   those of anybody else in the process.
 *
 * Sections are those of the MPI 4.0 standard.
 *
 * The files here, the lowest first. Each header is the manual of its subject,
 * and no file includes, or calls, a file that needs it:
 *
 *   bsync_codes                    numbers that JavaScript knows, too
 *   bsync_state, bsync_time        whether MPI runs; time
 *   bsync_proc, bsync_launcher,    threads that watch over the start, and over
 *   bsync_watch, bsync_watchdog      the other hosts
 *   bsync_shape                    arrays, as MPI is told of them
 *   bsync_guard, bsync_receive     receives that stay inside their arrays
 *   bsync_mpi                      messages of pools: this manual, and
 *   bsync_start, _end, _texts        the rest of it
 *   bsync_comm, bsync_comm_*       communicators, for "bsync/mpi" alone
 *   bsync_peer                     for C programs in the same job
 */
#ifndef BSYNC_MPI_H
#define BSYNC_MPI_H

#include "bsync_codes.h"

#include <stdint.h>

/* Changes with every change of the functions below. */
#define BSYNC_MPI_ABI 9

/*
 * Up to this length [bsync_mpi_send] copies what it sends. A JavaScript engine
 * may keep arrays of up to 1000 bytes in memory that it moves at will.
 */
#define BSYNC_COPY 1024

/* The longest name of a host, and a final 0. */
#define BSYNC_HOST 65

/* BSYNC_MPI_ABI of the compiled file. May be called at any time. */
int bsync_mpi_abi(void);

/*
 * One of the BSYNC_FAMILY_ numbers: whose mpi.h this was compiled against. May
 * be called at any time; does not start MPI.
 */
int bsync_mpi_family(void);

/*
 * Starts MPI (MPI_Init_thread, section 11.2), or joins it where somebody else
 * in the process has started it already, and does what bsync_peer.h repeats, in
 * that order: makes a duplicate of MPI_COMM_WORLD (section 7.4.2), and one for
 * each host, tells all ranks the names of all hosts, makes the world of
 * bsync_comm.h, and a communicator of all processes that are programs of bsync,
 * for [bsync_mpi_leave]. Collective: it returns when every rank of the job has
 * called it. Called again, it only fills [info] again.
 *
 * A rank that never gets here makes all the others wait for ever, inside MPI,
 * where no timer of theirs can run. Hence [timeout_ms], past which this process
 * ends, as told in bsync_watchdog.h, and with it the job; 0 means to wait for
 * ever. After [tell_ms] it says for whom it waits; 0 means never.
 *
 * With ranks on several hosts, these are watched as told in bsync_watch.h, by
 * the first rank that is a program of bsync. Its [silent_s] counts: for how
 * many seconds a host may be silent, 2 or more; of 0 or less nobody watches.
 *
 * Fills [info], which the caller owns:
 *   0  rank of this process
 *   1  number of ranks
 *   2  highest tag (MPI_TAG_UB, section 9.1.2; at least 32767)
 *   3  number of ranks on this host (MPI_COMM_TYPE_SHARED, section 7.4.2)
 *   4  1 if the library grants MPI_THREAD_FUNNELED or more, else 0
 *   5  1 if MPI had been started by somebody else, who then has to end it
 *   6  version of the standard, as 100 * major + minor
 *   7  BSYNC_SMALL
 *
 * Returns 0. On failure [info] is left alone, and there is no second try: all
 * answer -BSYNC_E_CLOSED from then on. Where MPI_Init itself fails, MPI ends
 * the process with a message of its own.
 */
int bsync_mpi_init(int timeout_ms, int tell_ms, int silent_s, int32_t info[8]);

/*
 * Writes the name of the host that [rank] runs on, as gethostname(2) says
 * there, to [text], of [size] bytes, with a final 0; what does not fit is cut
 * off. Known of every rank, whatever it does, once MPI has started, and also
 * when it has ended. Returns the length of what was written; -BSYNC_E_ARGUMENT
 * for a rank that the job has not, or a [size] below 1.
 */
int bsync_mpi_host(int rank, char *text, int size);

/*
 * Looks for a message from anybody (MPI_Iprobe, section 3.8.1) and receives it
 * if it is small. Makes progress on everything pending. Never blocks.
 *
 * Returns
 *   0  there is none; [status] is left alone
 *   1  one of at most [capacity] and at most BSYNC_SMALL bytes came; it is now
 *      in [buffer], which the caller owns and which has [capacity] bytes
 *   2  one came that is larger; it stays where it is, and is the next to be
 *      found again, until [bsync_mpi_receive] takes it
 * and for 1 and 2 [status] = source, tag, bytes. A message may have 0 bytes.
 */
int bsync_mpi_poll(void *buffer, int capacity, int32_t status[3]);

/*
 * Looks for a message from [source] with [tag], either of which may be
 * BSYNC_ANY, and leaves it where it is (MPI_Iprobe, section 3.8.1). Returns 1
 * and [status] = source, tag, bytes; or 0, and [status] is left alone.
 */
int bsync_mpi_probe(int source, int tag, int32_t status[3]);

/*
 * Starts to receive up to [bytes] bytes into [buffer] (MPI_Irecv, section
 * 3.7.2). The caller keeps [buffer] alive, unmoved and unread until
 * [bsync_mpi_test] says that it is done. A longer message is an error, told
 * by [bsync_mpi_test].
 *
 * Returns a request, 1 or more. Never blocks.
 */
int bsync_mpi_receive(void *buffer, int bytes, int source, int tag);

/*
 * Starts to send [bytes] bytes to [dest] (MPI_Isend, section 3.7.2) and looks
 * once whether that was all. Messages to one rank keep their order. Never
 * blocks.
 *
 * Returns 0 when [buffer] may be used again, else a request, 1 or more: then
 * the caller keeps [buffer] alive, unmoved and unwritten until
 * [bsync_mpi_test] says that it is done. Nothing is said about the receiver.
 */
int bsync_mpi_send(const void *buffer, int bytes, int dest, int tag);

/*
 * Is [request] done (MPI_Test, section 3.7.3)? Returns 1, or an error of that
 * request, and the number is free to be given out again; or 0, not yet. Makes
 * progress on everything pending. A number that is not in use is
 * -BSYNC_E_REQUEST.
 */
int bsync_mpi_test(int request);

/*
 * How many requests are not done, or were not tested since. May be called at
 * any time: 0 where MPI does not run, since no request can be asked for there.
 */
int bsync_mpi_pending(void);

/*
 * Waits for a message from anybody, and makes progress meanwhile: looks
 * without a pause for [spin_us] microseconds, then with sched_yield between
 * looks for [yield_us], then with naps of [nap_us] between them.
 *
 * Returns 1 as soon as there is a message to receive. Returns 0 after
 * [total_us] in all, and as soon as a signal interrupts a nap, since the
 * signal's handler may want the thread.
 */
int bsync_mpi_wait(int spin_us, int yield_us, int nap_us, int total_us);

/* 0 between [bsync_mpi_init] and [bsync_mpi_finalize], else as told above. */
int bsync_mpi_running(void);

/*
 * Puts the name of the class of error [code] (MPI_Error_class, section 9.4;
 * either sign), as "MPI_ERR_TRUNCATE", into [text] as [bsync_mpi_error_text]
 * does; nothing for bsync's own codes, and for classes that are not among
 * those of MPI 1.
 */
int bsync_mpi_error_class(int code, char *text, int size);

/*
 * Puts the text of error [code] (MPI_Error_string, section 9.4; either sign)
 * into [text], which the caller owns and which has [size] bytes, cut to fit
 * and always ended by a zero. Returns its length. May be called at any time;
 * while MPI does not run, only bsync's own codes have a text.
 */
int bsync_mpi_error_text(int code, char *text, int size);

/*
 * Puts the name and version of the library (MPI_Get_library_version, section
 * 9.1.1) into [text] as [bsync_mpi_error_text] does. May be called at any
 * time; does not start MPI.
 */
int bsync_mpi_library_version(char *text, int size);

/*
 * Puts the name of the library's control variable [index] (counted from 0;
 * MPI_T_cvar_get_info, section 15.3.6) into [text] as [bsync_mpi_error_text]
 * does. Each part of the library has variables of its own, and a part that is
 * not in use has taken them back: they tell what carries the messages. Only
 * between [bsync_mpi_init] and [bsync_mpi_finalize].
 *
 * Returns the length, 0 for a variable that was taken back, and
 * -BSYNC_E_ARGUMENT when there are no more.
 */
int bsync_mpi_variable(int index, char *text, int size);

/*
 * Ends the whole job with exit code [code] (MPI_Abort, section 9.7), or, where
 * MPI does not run, this process. Does not return.
 */
int bsync_mpi_abort(int code);

/*
 * Says that this process has come to its end, and asks whether all programs of
 * bsync in the job have (MPI_Ibarrier, section 6.12.1; C programs beside them
 * take no part). Returns 1 once they have, else 0. Never blocks: ask again, now
 * and then, and look for messages meanwhile. After it [bsync_mpi_finalize]
 * waits for nobody but C programs.
 */
int bsync_mpi_leave(void);

/*
 * Ends MPI (MPI_Finalize, section 11.2.2), unless somebody else had started
 * it. Waits for the other ranks to do the same. Everything sent must have been
 * received, and every request be done. May be called again, and without
 * [bsync_mpi_init]. Returns 0.
 *
 * MPICH before 4.2 over UCX (ch4:ucx) often never returns from MPI_Finalize on
 * several hosts: a rank that waits in its last barrier does nothing for the
 * others' connections to it. There, if [bsync_mpi_leave] has told that all are
 * at their ends, MPI is not finalized: what is on its way has [linger_ms] to
 * arrive, and then the process may end, which the launcher takes for a good
 * end.
 */
int bsync_mpi_finalize(int linger_ms);

/*
 * Ends this process with exit code 0 if it has not ended by itself within
 * [seconds]: an exit handler may never return (by SIGALRM, alarm(2); _exit in
 * its handler, whatever the program has made of that signal). The launcher
 * takes that for a good end after [bsync_mpi_finalize]. May be called at any
 * time. Returns 0.
 */
int bsync_mpi_end_within(int seconds);

#endif
