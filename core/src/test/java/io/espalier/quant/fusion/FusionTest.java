package io.espalier.quant.fusion;

import static io.espalier.Errors.messageOf;
import static io.espalier.TensorAssertions.assertClose;
import static io.espalier.TrainedModels.trained;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.nn.BatchNorm1d;
import io.espalier.nn.BatchNorm2d;
import io.espalier.nn.Conv2d;
import io.espalier.nn.ConvTranspose2d;
import io.espalier.nn.Identity;
import io.espalier.nn.Linear;
import io.espalier.nn.Mask;
import io.espalier.nn.Module;
import io.espalier.nn.ReLU;
import io.espalier.nn.Sequential;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Libtorch;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class FusionTest {
    @BeforeEach
    void seed() {
        Libtorch.seed(1);
    }

    /** The specification's model: a layer and its activation as fields. */
    static final class TwoLayers extends Module {
        final Linear linear = add("linear", new Linear(3, 4));
        final ReLU relu = add("relu", new ReLU());

        @Override
        protected Tensor forward(Tensor x) {
            return relu.call(linear.call(x));
        }
    }

    private static Sequential conv(boolean bias) {
        return trained(
                new Sequential(
                        new Conv2d(3, 4, 3, o -> o.padding(1).bias(bias)),
                        new BatchNorm2d(4),
                        new ReLU()),
                Tensors.randn(2, 3, 6, 6));
    }

    @Test
    @DisplayName("A linear layer and its ReLU become one module that prints as PyTorch's")
    void fusesLinearRelu() {
        var model = new TwoLayers();
        Tensor x = Tensors.randn(2, 3);
        Tensor before = model.call(x);

        Quantization.fuseModules(model, List.of("linear", "relu"));

        assertEquals(
                """
                TwoLayers(
                  (linear): LinearReLU(
                    (0): Linear(in_features=3, out_features=4, bias=True)
                    (1): ReLU()
                  )
                  (relu): Identity()
                )\
                """,
                model.toString());
        assertTrue(Tensors.equal(before, model.call(x)));
        assertTrue(Tensors.equal(before, model.<TwoLayers>copy().call(x)));
    }

    @Test
    @DisplayName(
            "Convolution, batch normalization and ReLU compute the same when fused, with and"
                    + " without a bias")
    void foldsConvolutions() {
        for (boolean bias : new boolean[] {true, false}) {
            Sequential model = conv(bias);
            Tensor x = Tensors.randn(2, 3, 6, 6);
            Tensor before = model.call(x);
            Quantization.fuseModules(model, List.of("0", "1", "2"));
            assertClose(before, model.call(x), 1e-5f);
            assertInstanceOf(Identity.class, model.get(1));
        }
    }

    @Test
    @DisplayName("A transposed convolution in groups is folded along its output channels")
    void foldsTransposed() {
        Tensor x = Tensors.randn(2, 4, 5, 5);
        Sequential model =
                trained(
                        new Sequential(
                                new ConvTranspose2d(4, 6, 3, o -> o.groups(2)), new BatchNorm2d(6)),
                        x);
        Tensor before = model.call(x);
        Quantization.fuseModules(model, List.of("0", "1"));
        assertClose(before, model.call(x), 1e-5f);
    }

    @Test
    @DisplayName(
            "A transposed convolution is fused with a folded normalization alone, as PyTorch's")
    void refusesTransposed() {
        Sequential model =
                new Sequential(new ConvTranspose2d(3, 4, 3), new BatchNorm2d(4), new ReLU());
        for (List<String> chain : List.of(List.of("0", "1"), List.of("0", "1", "2"))) {
            assertTrue(
                    messageOf(() -> Quantization.fuseModulesQat(model, chain))
                            .endsWith("or fold the two with fuseModules in inference mode first."));
        }
        model.eval();
        for (List<String> chain : List.of(List.of("0", "2"), List.of("0", "1", "2"))) {
            assertTrue(
                    messageOf(() -> Quantization.fuseModules(model, chain))
                            .contains("leave a ReLU as it is"));
        }
        Quantization.fuseModules(model, List.of("0", "1"));
        model.train();
        model.qconfig(QConfig.qatForBackend("fbgemm"));
        Quantization.prepareQat(model);
        assertTrue(model.call(Tensors.randn(2, 3, 5, 5)).requires_grad());
    }

    @Test
    @DisplayName("Several chains with nested names are fused at once")
    void fusesLists() {
        Sequential model = new Sequential(conv(true), conv(true));
        Quantization.fuseModules(
                model, List.of(List.of("0.0", "0.1", "0.2"), List.of("1.0", "1.1")));
        assertEquals("ConvReLU2d", model.module("0.0").toString().split("\\(", -1)[0]);
        assertInstanceOf(Conv2d.class, model.module("1.0"));
        assertInstanceOf(ReLU.class, model.module("1.2"));
    }

    @Test
    @DisplayName("A pruned layer keeps its mask, and what was zero is exactly zero")
    void keepsMasks() {
        Sequential model = conv(true);
        Module layer = model.get(0);
        Tensor mask =
                Tensors.rand(4, 3, 3, 3)
                        .gt(new Scalar(0.5))
                        .to(layer.parameter("weight").scalar_type());
        layer.storeAs("weight", "weight_orig");
        layer.addBuffer("weight_mask", mask);
        layer.parametrize("weight", new Mask("weight"));
        Tensor x = Tensors.randn(1, 3, 6, 6);
        Tensor before = model.call(x);

        Quantization.fuseModules(model, List.of("0", "1", "2"));

        Module fused = model.module("0.0");
        assertTrue(Tensors.equal(mask, fused.buffer("weight_mask")));
        assertTrue(
                Tensors.equal(
                        fused.value("weight").ne(new Scalar(0)).to(mask.scalar_type()), mask));
        assertClose(before, model.call(x), 1e-5f);
    }

    /** A convolution whose result goes on two ways, and one that is fusable. */
    static final class TwoWays extends Module {
        final Conv2d split = add("split", new Conv2d(3, 3, 1));
        final BatchNorm2d norm = add("norm", new BatchNorm2d(3));
        final Sequential rest = add("rest", conv(true));

        @Override
        protected Tensor forward(Tensor x) {
            Tensor y = split.call(x);
            return rest.call(norm.call(y).add(y));
        }
    }

    @Test
    @DisplayName("Chains are found by an example; a result that is used twice is left alone")
    void findsChains() {
        var model = trained(new TwoWays(), Tensors.randn(4, 3, 6, 6));
        Tensor x = Tensors.randn(2, 3, 6, 6);
        Tensor before = model.call(x);
        assertEquals(List.of(List.of("rest.0", "rest.1", "rest.2")), Quantization.fuse(model, x));
        assertClose(before, model.call(x), 1e-5f);
        assertInstanceOf(BatchNorm2d.class, model.module("norm"));
        assertTrue(
                messageOf(() -> Quantization.fuse(new TwoWays(), x)).contains("call eval() first"));
    }

    @Test
    @DisplayName("Wrong names, single modules and other patterns are errors that leave the model")
    void refusesWrongUse() {
        var model = new TwoLayers();
        String before = model.toString();
        assertEquals(
                "Fusing needs two or more modules in a row; asked for [linear] in TwoLayers, which"
                        + " has: linear, relu.",
                messageOf(() -> Quantization.fuseModules(model, List.of("linear"))));
        assertEquals(
                "No module 'fc' in TwoLayers; it has: linear, relu.",
                messageOf(() -> Quantization.fuseModules(model, List.of("fc", "relu"))));
        assertTrue(
                messageOf(() -> Quantization.fuseModules(model, List.of("relu", "linear")))
                        .startsWith("Can't fuse [relu, linear], which are (ReLU, Linear); "));
        assertTrue(
                messageOf(() ->
                                Quantization.fuseModules(
                                        model,
                                        List.of(
                                                List.of("linear", "relu"),
                                                List.of("linear", "relu"))))
                        .contains("is named twice"));
        assertTrue(
                messageOf(() -> Quantization.fuseModules(model, List.of(1, 2)))
                        .startsWith("Fusing takes a list of names"));
        assertEquals(before, model.toString());
    }

    @Test
    @DisplayName(
            "Folding a batch normalization in training mode, or of other channels, is an error")
    void refusesTraining() {
        Sequential model = conv(true);
        model.train();
        assertTrue(
                messageOf(() -> Quantization.fuseModules(model, List.of("0", "1", "2")))
                        .contains("in training mode"));
        Sequential other = new Sequential(new Linear(3, 4), new BatchNorm1d(5));
        other.eval();
        assertTrue(
                messageOf(() -> Quantization.fuseModules(other, List.of("0", "1")))
                        .contains("has 4 output channels, its batch normalization 5"));
        assertFalse(model.toString().contains("Identity"));
    }
}
