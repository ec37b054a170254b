package io.espalier.tensor;

import org.bytedeco.pytorch.Tensor;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * Asks the kernel to back a large new tensor with pages of 2 MB. Its first writing then faults once
 * for 512 pages of 4 KB, which for tens of megabytes costs more than what is written. On systems
 * other than Linux, and where the kernel has no such pages, nothing happens.
 */
@Internal
public final class LargePages {
    private static final long PAGE = 2L << 20;

    /** {@code MADV_HUGEPAGE} of Linux's {@code madvise}. */
    private static final int HUGEPAGE = 14;

    private static final Optional<MethodHandle> MADVISE = madvise();

    private LargePages() {}

    /** Advises the whole large pages that lie within the tensor's memory. */
    public static void advise(Tensor fresh) {
        if (MADVISE.isEmpty() || fresh.nbytes() < 2 * PAGE) {
            return;
        }
        long address = fresh.data_ptr().address();
        long from = Math.ceilDiv(address, PAGE) * PAGE;
        long to = (address + fresh.nbytes()) / PAGE * PAGE;
        try {
            // An answer other than 0 means that the pages stay small, which is no error.
            int ignored =
                    (int)
                            MADVISE.get()
                                    .invokeExact(
                                            MemorySegment.ofAddress(from), to - from, HUGEPAGE);
        } catch (Throwable e) {
            throw new AssertionError("madvise throws nothing", e);
        }
    }

    private static Optional<MethodHandle> madvise() {
        if (!System.getProperty("os.name").equals("Linux")) {
            return Optional.empty();
        }
        Linker linker = Linker.nativeLinker();
        return linker.defaultLookup()
                .find("madvise")
                .map(function ->
                        linker.downcallHandle(
                                function,
                                FunctionDescriptor.of(
                                        ValueLayout.JAVA_INT,
                                        ValueLayout.ADDRESS,
                                        ValueLayout.JAVA_LONG,
                                        ValueLayout.JAVA_INT)));
    }
}
