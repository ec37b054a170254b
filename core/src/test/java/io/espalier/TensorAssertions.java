package io.espalier;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;

/** What tests claim about tensors. */
public final class TensorAssertions {
    private TensorAssertions() {}

    /** Same names in the same order, and same tensors. */
    public static void assertSameTensors(Map<String, Tensor> expected, Map<String, Tensor> actual) {
        assertEquals(List.copyOf(expected.keySet()), List.copyOf(actual.keySet()));
        expected.forEach((name, tensor) -> {
            @Nullable Tensor other = actual.get(name);
            assertNotNull(other);
            assertTrue(Tensors.equal(tensor, other), name);
        });
    }

    /** Same shape, and elements within {@code tolerance} of the expected ones. */
    public static void assertClose(Tensor expected, Tensor actual, float tolerance) {
        assertArrayEquals(Tensors.shape(expected), Tensors.shape(actual));
        assertArrayEquals(Tensors.floats(expected), Tensors.floats(actual), tolerance);
    }
}
