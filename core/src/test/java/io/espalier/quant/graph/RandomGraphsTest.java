package io.espalier.quant.graph;

import static io.espalier.quant.graph.GraphNetworks.decibels;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.graph.GraphModule;
import io.espalier.nn.Conv2d;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.nio.file.Path;
import java.util.List;
import java.util.function.BiFunction;

@DisplayName("A quantized graph of any network")
class RandomGraphsTest {
    private static final int NETWORKS = 25;

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName(
            "is close to the float one in its first call and in the next, and saved by the bit")
    void close(String engine, @TempDir Path folder) {
        for (long seed = 0; seed < NETWORKS; seed++) {
            Libtorch.seed(seed);
            try (var scope = new PointerScope();
                    var noGrad = new NoGradGuard()) {
                var model = new RandomNetwork(seed);
                model.eval();
                model.qconfig(QConfig.forBackend(engine));
                Tensor x = RandomNetwork.input();
                GraphModule quantized = Quantization.quantize(model, x, List.of(x));
                List<Tensor> expected = model.callAll(List.of(x));

                List<Tensor> first = quantized.callAll(List.of(x));
                List<Tensor> second = quantized.callAll(List.of(x));
                Path file = folder.resolve("graph.safetensors");
                Quantization.save(quantized, file);
                List<Tensor> loaded = Quantization.loadGraph(file).callAll(List.of(x));

                String what = engine + ", network " + seed + ":\n" + quantized.graph();
                assertEquals(expected.size(), first.size());
                for (int i = 0; i < expected.size(); i++) {
                    double apart = decibels(expected.get(i), first.get(i));
                    assertTrue(
                            apart > 16 || Tensors.equal(expected.get(i), first.get(i)),
                            apart + " dB, " + what);
                    assertTrue(Tensors.equal(first.get(i), second.get(i)), what);
                    assertTrue(Tensors.equal(first.get(i), loaded.get(i)), what);
                }
            }
        }
    }

    /** A convolution whose result is added to something. */
    private static final class Residual extends Module {
        private final Conv2d conv;
        private final BiFunction<Tensor, Tensor, Tensor> sum;

        Residual(long channels, BiFunction<Tensor, Tensor, Tensor> sum) {
            conv = add("conv", new Conv2d(channels, channels, 3, o -> o.padding(1)));
            this.sum = sum;
        }

        @Override
        protected Tensor forward(Tensor x) {
            return sum.apply(conv.call(x), x);
        }
    }

    private static final List<BiFunction<Tensor, Tensor, Tensor>> SUMS =
            List.of(
                    Functional::add,
                    (y, x) -> Functional.add(x, y),
                    (y, x) -> Functional.relu(Functional.add(y, x)),
                    (y, x) -> Functional.add(y, Functional.relu(x)),
                    (y, x) -> Functional.add(y, y),
                    (y, x) -> Functional.add(Functional.add(y, x), x),
                    (y, x) -> Functional.add(y, Functional.transpose(x, 2, 3)),
                    (y, x) -> Functional.add(y, Functional.narrow(x, 1, 0, 1)),
                    (y, x) -> Functional.add(y, Functional.adaptiveAvgPool2d(x, 1, 1)),
                    (y, x) -> Functional.add(Functional.hardswish(y), x));

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("adds its own input, in whatever layout that lies in memory")
    void ownInput(String engine) {
        for (int channels : new int[] {1, 2, 3, 8}) {
            for (BiFunction<Tensor, Tensor, Tensor> sum : SUMS) {
                Libtorch.seed(channels);
                Module model = new Residual(channels, sum);
                model.eval();
                model.qconfig(QConfig.forBackend(engine));
                Tensor planes = Tensors.randn(2, channels, 6, 6);
                Tensor interleaved = planes.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);
                GraphModule quantized = Quantization.quantize(model, planes, List.of(planes));

                for (Tensor x : List.of(planes, interleaved)) {
                    double apart = decibels(model.call(x), quantized.call(x));
                    assertTrue(apart > 28, apart + " dB: " + engine + quantized.graph());
                }
                if (sum.equals(SUMS.getFirst())) {
                    Tensor one = planes.select(0, 0);
                    assertTrue(decibels(model.call(one), quantized.call(one)) > 25, engine);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"x86", "onednn", "fbgemm", "qnnpack"})
    @DisplayName("adds its own input to a linear layer, turned around or not")
    void ownInputToLinear(String engine) {
        for (boolean turned : new boolean[] {false, true}) {
            Libtorch.seed(2);
            var model =
                    new Module() {
                        private final Linear fc = add("fc", new Linear(6, 6));

                        @Override
                        protected Tensor forward(Tensor x) {
                            return Functional.add(
                                    fc.call(x), turned ? Functional.transpose(x, 1, 2) : x);
                        }
                    };
            model.eval();
            model.qconfig(QConfig.forBackend(engine));
            Tensor x = Tensors.randn(3, 6, 6);

            GraphModule quantized = Quantization.quantize(model, x, List.of(x));

            assertTrue(decibels(model.call(x), quantized.call(x)) > 30);
        }
    }
}
