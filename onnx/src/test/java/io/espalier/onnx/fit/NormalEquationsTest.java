package io.espalier.onnx.fit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.onnx.fit.NormalEquations.Means;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

@DisplayName("Sums over what a layer is given and gives")
class NormalEquationsTest {
    @Test
    @DisplayName("keep what varies little about a large mean, over batches and both halves")
    void farFromZero() {
        Libtorch.seed(6);
        try (var scope = new PointerScope();
                var sums = new NormalEquations()) {
            Tensor x = Tensors.randn(1, 5, 90).add(new Scalar(3000));
            Tensor y = Tensors.randn(1, 2, 90).add(new Scalar(-700));
            sums.add(x.narrow(2, 0, 20), y.narrow(2, 0, 20), 0);
            sums.add(x.narrow(2, 20, 40), y.narrow(2, 20, 40), 0);
            sums.add(x.narrow(2, 60, 30), y.narrow(2, 60, 30), 1);

            Means found = sums.means(true);
            Means plain = sums.means(false);

            Tensor all = x.squeeze(0).to(ScalarType.Double);
            Tensor wanted = y.squeeze(0).to(ScalarType.Double);
            Tensor away = all.sub(all.mean(1).unsqueeze(1));
            Tensor off = wanted.sub(wanted.mean(1).unsqueeze(1));
            assertNear(away.matmul(away.t()), found.of().xx(), 1e-4);
            assertNear(off.matmul(away.t()), found.of().yx(), 1e-4);
            assertNear(all.matmul(all.t()), plain.of().xx(), 1);
            assertNear(wanted.matmul(all.t()), plain.of().yx(), 1);
            assertTrue(
                    torch.allclose(all.mean(1), found.of().meanX().reshape(-1), 1e-7, 1e-4, false),
                    "mean of inputs");
        }
    }

    @Test
    @DisplayName("tell how much of the products of inputs that have nothing to do is chance")
    void chance() {
        Libtorch.seed(6);
        try (var scope = new PointerScope();
                var apart = new NormalEquations();
                var alike = new NormalEquations();
                var one = new NormalEquations()) {
            Tensor x = Tensors.randn(1, 20, 60);
            Tensor same = Tensors.randn(1, 1, 60).repeat(1, 20, 1);
            for (int half = 0; half < 2; half++) {
                Tensor some = x.narrow(2, 30L * half, 30);
                Tensor equal = same.narrow(2, 30L * half, 30);
                apart.add(some, some, half);
                alike.add(equal, equal, half);
            }
            one.add(x, x, 0);

            assertTrue(apart.means(true).chance() > 0.7);
            assertTrue(alike.means(true).chance() < 1e-6);
            assertEquals(0, one.means(true).chance());
        }
    }

    private static void assertNear(Tensor sums, Tensor means, double off) {
        Tensor expected = sums.div(new Scalar(90)).unsqueeze(0);
        assertTrue(
                torch.allclose(expected, means, 0, off, false),
                () -> Tensors.toString(expected.sub(means)));
    }
}
