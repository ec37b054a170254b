package io.espalier.quant;

import static io.espalier.TensorAssertions.assertClose;
import static io.espalier.quant.WordTables.COUNT;
import static io.espalier.quant.WordTables.all;
import static io.espalier.quant.WordTables.bits;
import static io.espalier.quant.WordTables.classifier;
import static io.espalier.quant.WordTables.prune;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.Embedding;
import io.espalier.nn.EmbeddingBag;
import io.espalier.nn.EmbeddingBag.Mode;
import io.espalier.nn.Module;
import io.espalier.nn.Sequential;
import io.espalier.quant.layer.QuantizedTable;
import io.espalier.quant.qat.QatPhases;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;
import io.espalier.train.Optimizers;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.util.List;

@DisplayName("Tables of vectors that train for integers")
class TableTrainingTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(11);
    }

    private void step(Module model, Tensor x, Tensor target) {
        var optimizer = Optimizers.sgd(model.parameters(), 50);
        for (int i = 0; i < 20; i++) {
            optimizer.zero_grad();
            model.call(x).sub(target).pow(new Scalar(2L)).mean().backward();
            optimizer.step();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {8, 4})
    @DisplayName("rounds the rows in training, and converts to what was trained")
    void trainsAndConverts(int bits) {
        for (Module table :
                List.of(
                        new Embedding(COUNT, 8),
                        new EmbeddingBag(COUNT, 8, o -> o.mode(Mode.MEAN)))) {
            Tensor kept = Tensors.rand(COUNT, 8).gt(new Scalar(0.4)).to(ScalarType.Float);
            prune(table, kept);
            Sequential model = new Sequential(table);
            Tensor x = all().reshape(25, 2);
            Tensor before = table.value("weight").detach().clone();
            model.qconfig(bits == 8 ? QConfig.qatWeightOnly() : QConfig.qatWeightOnly4Bit());
            Quantization.prepareQat(model);
            assertTrue(model.toString().contains("(weight_fake_quant): FakeQuantize("));
            Tensor target = Tensors.randn(Tensors.shape(model.call(x)));
            float first = loss(model, x, target);
            step(model, x, target);
            assertTrue(loss(model, x, target) < 0.9 * first);
            QatPhases.enableObservers(model, false);
            Tensor simulated = model.get(0).value("weight").detach().clone();
            assertTrue(simulated.sub(before).abs().max().item_float() > 0.01);
            Tensor pruned = kept.eq(new Scalar(0));
            assertEquals(0, simulated.masked_select(pruned).abs().sum().item_float());

            model.eval();
            Quantization.convert(model);

            Tensor converted =
                    ((QuantizedTable) model.get(0)).floatWeights().values().iterator().next();
            assertClose(simulated, converted, 1e-6f);
            assertEquals(0, converted.masked_select(pruned).abs().sum().item_float());
        }
    }

    private static float loss(Module model, Tensor x, Tensor target) {
        return model.call(x).sub(target).pow(new Scalar(2L)).mean().item_float();
    }

    @Test
    @DisplayName("takes a preset for a backend as the preset for tables")
    void underBackend() {
        Sequential model = classifier();
        model.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(model);
        Tensor x = all().reshape(10, 5);
        model.call(x);
        assertTrue(model.get(0).toString().contains("dtype=torch.quint8"));
        model.eval();
        Quantization.convert(model);
        assertTrue(model.get(0).toString().startsWith("QuantizedEmbeddingBag("));
        assertFalse(model.toString().contains("fake_quant"));
        assertArrayEquals(new long[] {10, 3}, Tensors.shape(model.call(x)));
    }
}
