package io.espalier.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

class InitTest {
    @Test
    @DisplayName("a seed gives PyTorch's values")
    void sameSeed() {
        Libtorch.seed(0);
        Linear layer = new Linear(2, 1);
        // torch.manual_seed(0); torch.nn.Linear(2, 1)
        assertArrayEquals(new float[] {-0.0053f, 0.3793f}, Tensors.floats(layer.weight()), 5e-5f);
        assertArrayEquals(new float[] {-0.5820f}, Tensors.floats(layer.parameter("bias")), 5e-5f);
    }

    private static void assertUniform(double bound, Tensor tensor) {
        float[] values = Tensors.floats(tensor);
        double largest = 0;
        double sum = 0;
        for (float value : values) {
            largest = Math.max(largest, Math.abs(value));
            sum += value;
        }
        assertTrue(largest <= bound, largest + " > " + bound);
        assertTrue(largest > 0.97 * bound, largest + " is far below " + bound);
        assertEquals(0, sum / values.length, 0.1 * bound);
    }

    @Test
    @DisplayName("weights and biases are uniform within PyTorch's bounds")
    void bounds() {
        Libtorch.seed(3);
        assertUniform(1 / Math.sqrt(64), new Linear(64, 100).weight());
        Conv2d conv = new Conv2d(8, 400, new long[] {3, 5}, o -> o.groups(2));
        assertUniform(1 / Math.sqrt(4 * 15), conv.weight());
        assertUniform(1 / Math.sqrt(4 * 15), conv.parameter("bias"));
        // PyTorch counts the second dimension as the fan of a transposed convolution too.
        ConvTranspose2d transposed = new ConvTranspose2d(8, 400, 3);
        assertUniform(1 / Math.sqrt(400 * 9), transposed.weight());
        assertUniform(1 / Math.sqrt(400 * 9), transposed.parameter("bias"));
        LSTM lstm = new LSTM(30, 50);
        lstm.parameters().forEach(parameter -> assertUniform(1 / Math.sqrt(50), parameter));
        assertUniform(
                Math.sqrt(6.0 / (32 + 96)),
                new MultiheadAttention(32, 4).parameter("in_proj_weight"));
    }
}
