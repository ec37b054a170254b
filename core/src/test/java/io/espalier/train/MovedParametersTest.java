package io.espalier.train;

import static io.espalier.Errors.messageOf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.espalier.data.Dataset;
import io.espalier.nn.Module;
import io.espalier.prune.Prune;
import io.espalier.quant.QConfig;
import io.espalier.quant.Quantization;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Optimizer;
import org.bytedeco.pytorch.Tensor;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;

import java.util.List;

class MovedParametersTest {
    private static final Dataset DATA = SmallNet.examples(16);

    private static TrainingResult train(Module model, Optimizer optimizer) {
        return Trainer.of(model, Losses.crossEntropy(), optimizer).batchSize(8).train(DATA, 1);
    }

    private static Optimizer sgd(List<Tensor> parameters) {
        return Optimizers.sgd(parameters, 0.1);
    }

    @Test
    @DisplayName("an optimizer of the original does not train a copy, and the error says so")
    void optimizerOfOriginal() {
        SmallNet original = SmallNet.masked();
        Optimizer optimizer = sgd(original.parameters());
        SmallNet copy = original.copy();
        Tensor before = copy.last.weight().detach().clone();
        assertEquals(
                "The optimizer holds none of this SmallNet's parameters, so training would leave it"
                        + " as it is; a copy has parameters of its own: make the optimizer of the"
                        + " parameters of the model that it is to train, such as"
                        + " Optimizers.sgd(model.parameters(), 0.01).",
                messageOf(() -> train(copy, optimizer)));
        assertTrue(Tensors.equal(before, copy.last.weight().detach()));
    }

    @Test
    @DisplayName("parameters that an optimizer leaves out are named in the result, if not frozen")
    void someParameters() {
        SmallNet net = SmallNet.masked();
        Optimizer last = sgd(List.of(net.last.parameter("weight"), net.last.parameter("bias")));
        assertEquals(
                List.of(
                        "The optimizer holds 2 of the model's parameters and not 4 others that"
                                + " could train: first.bias, first.weight_orig, norm.weight,"
                                + " norm.bias. Make it of model.parameters() to train them too, or"
                                + " freeze them (set_requires_grad(false)) if they are to stay."),
                train(net, last).warnings());

        net.first.parameters().forEach(parameter -> parameter.set_requires_grad(false));
        net.norm.parameters().forEach(parameter -> parameter.set_requires_grad(false));
        assertEquals(List.of(), train(net, last).warnings());
    }

    @Test
    @DisplayName(
            "an optimizer made before pruning, fusing and preparing still moves the parameters")
    void madeBefore() {
        SmallNet net = new SmallNet();
        Optimizer optimizer = sgd(net.parameters());
        Prune.l1Unstructured(net.last, "weight", 0.5);
        assertEquals(List.of(), train(net, optimizer).warnings());
        net.qconfig(QConfig.qatForBackend("x86"));
        Quantization.prepareQat(net);
        Tensor before = net.module("last").parameter("weight_orig").detach().clone();
        assertEquals(List.of(), train(net, optimizer).warnings());
        assertFalse(Tensors.equal(before, net.module("last").parameter("weight_orig").detach()));
        Prune.remove(net.last, "weight");
        assertEquals(List.of(), train(net, optimizer).warnings());
    }
}
