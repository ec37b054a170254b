package io.espalier.train;

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
    private RandomState() {}

    static byte[] get() {
        try (var scope = new PointerScope()) {
            return Tensors.segment(torch.getDefaultCPUGenerator().get_state())
                    .toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /**
     * Checks a state on a generator of its own.
     *
     * @throws io.espalier.tensor.EspalierException if it is none
     */
    static void check(byte[] state) {
        try (var scope = new PointerScope()) {
            torch.createCPUGenerator().set_state(tensor(state));
        } catch (RuntimeException e) {
            throw TensorException.in("Restoring the random generator", e);
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
