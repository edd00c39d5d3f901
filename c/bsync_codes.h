/*
 * bsync_codes: the numbers that JavaScript and C agree on, which every file
 * here may use: error codes, wildcards, datatypes, operations, families.
 */
#ifndef BSYNC_CODES_H
#define BSYNC_CODES_H

/* As [source] or [tag]: any. (MPI's own constants differ between families.) */
#define BSYNC_ANY (-1)

/* As [source] or [dest]: nobody. Only in calls of bsync_comm.h. */
#define BSYNC_PROC_NULL (-2)

/*
 * The longest message that [bsync_mpi_poll] receives at once, in bytes.
 *
 * It must be sent eagerly by every transport, for only then does a blocking
 * MPI_Recv of a probed message return without its sender's help. The lowest
 * eager limit in use is that of Open MPI's shared memory, 4096 bytes of which
 * the header takes up to 64.
 */
#define BSYNC_SMALL 4000

/* Codes of bsync's own; far above those of any MPI. */
#define BSYNC_E_FRESH 0x7fffff01    /* MPI was not started */
#define BSYNC_E_CLOSED 0x7fffff02   /* MPI has ended; it cannot start again */
#define BSYNC_E_REQUEST 0x7fffff03  /* no such request, or it is done */
#define BSYNC_E_MEMORY 0x7fffff04   /* out of memory */
#define BSYNC_E_ARGUMENT 0x7fffff05 /* a negative length, source or tag */
#define BSYNC_E_LARGE 0x7fffff06    /* too much for this MPI's 32-bit counts */

/* Families, as told by [bsync_mpi_family]. */
#define BSYNC_FAMILY_UNKNOWN 0
#define BSYNC_FAMILY_OPENMPI 1
#define BSYNC_FAMILY_MPICH 2 /* and its descendants: Intel, MVAPICH, Cray */

/* Datatypes (MPI 4.0 section 3.2.2). */
#define BSYNC_BYTE 0
#define BSYNC_INT8 1
#define BSYNC_UINT8 2
#define BSYNC_INT16 3
#define BSYNC_UINT16 4
#define BSYNC_INT32 5
#define BSYNC_UINT32 6
#define BSYNC_INT64 7
#define BSYNC_UINT64 8
#define BSYNC_FLOAT 9
#define BSYNC_DOUBLE 10
#define BSYNC_TYPES 11

/*
 * Operations (section 6.9.2). From BSYNC_LAND on they are for whole numbers
 * only: with others the answer is -MPI_ERR_OP.
 */
#define BSYNC_SUM 0
#define BSYNC_PROD 1
#define BSYNC_MIN 2
#define BSYNC_MAX 3
#define BSYNC_LAND 4
#define BSYNC_LOR 5
#define BSYNC_BAND 6
#define BSYNC_BOR 7
#define BSYNC_BXOR 8
#define BSYNC_OPS 9

#endif
