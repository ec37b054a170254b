package io.espalier.train;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.TensorException;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The state of libtorch's random generator, from which dropout and initialization draw. */
final class RandomState {
    /** How many numbers its Mersenne Twister makes at once. */
    private static final int NUMBERS = 624;

    /** Where it keeps how many of them are left, as an int, and which is next, as a long. */
    private static final long LEFT = 8;

    private static final long NEXT = 16;

    private RandomState() {}

    static byte[] get() {
        try (var scope = new PointerScope()) {
            return Tensors.segment(torch.getDefaultCPUGenerator().get_state())
                    .toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /**
     * Checks a state on a generator of its own, and what libtorch does not: that the next number is
     * one of those there.
     *
     * @throws EspalierException if it is none
     */
    static void check(byte[] state) {
        try (var scope = new PointerScope()) {
            torch.createCPUGenerator().set_state(tensor(state));
        } catch (RuntimeException e) {
            throw TensorException.in("Restoring the random generator", e);
        }
        MemorySegment values = MemorySegment.ofArray(state);
        long left = values.get(ValueLayout.JAVA_INT_UNALIGNED, LEFT);
        long next = values.get(ValueLayout.JAVA_LONG_UNALIGNED, NEXT);
        boolean fresh = left == 1 && next == 0;
        if (!fresh && left + next != NUMBERS + 1) {
            throw new EspalierException(
                    "Restoring the random generator: number "
                            + next
                            + " can't be next with "
                            + left
                            + " left of "
                            + NUMBERS
                            + "; use an older checkpoint.");
        }
    }

    static void set(byte[] state) {
        try (var scope = new PointerScope()) {
            torch.getDefaultCPUGenerator().set_state(tensor(state));
        }
    }

    private static Tensor tensor(byte[] state) {
        Tensor tensor = Tensors.zeros(ScalarType.Byte, state.length);
        Tensors.segment(tensor).copyFrom(MemorySegment.ofArray(state));
        return tensor;
    }
}
