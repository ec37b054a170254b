package io.espalier.quant.layer;

import io.espalier.nn.Functional;
import io.espalier.nn.Module;
import io.espalier.nn.Recurrent;
import io.espalier.nn.RecurrentShape;
import io.espalier.quant.observer.Observer;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.qat.FakeQuantizedParameter;
import io.espalier.quant.qat.LearnableFakeQuantize;
import io.espalier.quant.qat.Rounding;

import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

import java.util.ArrayList;
import java.util.List;

/**
 * An LSTM or GRU in floats whose layers' outputs are observed, as a prepared model runs it: its
 * layers one after the other. Its parameters are the float network's own, masks included. A layer's
 * output is also what its own recurrence reads, so one range serves for both.
 *
 * <p>Where the engine's kernels give integers only, the products of both weights are observed too.
 * In training, observers that round let the network train rounded; weights are rounded too.
 */
public final class ObservedRecurrent extends Module {
    private final Recurrent network;
    private final RecurrentShape shape;
    private final boolean observesGates;

    /**
     * A network to observe.
     *
     * @param path where it stands, for errors
     * @param network the float network, whose parameters it takes
     * @param activation makes the observers of what the layers give
     * @param packing how the weights will become integers
     */
    public ObservedRecurrent(
            String path, Recurrent network, ObserverFactory activation, Packing packing) {
        this.network = network.alias();
        this.shape = network.shape();
        adopt(network);
        this.observesGates = !GateLinear.givesFloats(packing.engine());
        for (long layer = 0; layer < shape.options().layers(); layer++) {
            add(hidden(layer), observer(path, activation, hidden(layer)));
        }
        for (String suffix : shape.suffixes()) {
            for (String kind : List.of("ih", "hh")) {
                if (observesGates) {
                    String gates = gates(kind, suffix);
                    add(gates, observer(path, activation, gates));
                }
                roundInTraining(path, packing, "weight_" + kind + suffix);
            }
        }
        training(network.isTraining());
        takeAttachments(network);
    }

    private void roundInTraining(String path, Packing packing, String name) {
        Observer rounding = observer(path, packing.weight(), name);
        if (rounding instanceof Rounding) {
            if (rounding instanceof LearnableFakeQuantize learnable) {
                try (var noGrad = new NoGradGuard()) {
                    learnable.initialize(value(name));
                }
            }
            var parametrization = new FakeQuantizedParameter(name);
            add(parametrization.child(), rounding);
            parametrize(name, parametrization);
        }
    }

    private Observer observer(String path, ObserverFactory factory, String name) {
        Observer observer = factory.made();
        observer.standsAt(path + "." + name);
        observer.training(network.isTraining());
        return observer;
    }

    RecurrentShape shape() {
        return shape;
    }

    /** The child that observes a layer's output; the last is the network's own. */
    private String hidden(long layer) {
        return layer == shape.options().layers() - 1 ? Observer.OUTPUT : "hidden_l" + layer;
    }

    private static String gates(String kind, String suffix) {
        return "gates_" + kind + suffix;
    }

    /** What observed a layer's output. */
    Observer hiddenObserver(long layer) {
        return (Observer) module(hidden(layer));
    }

    /** What observed the product of a weight, named by its ending such as {@code ih_l0}. */
    Observer gatesObserver(String ending) {
        return (Observer) module("gates_" + ending);
    }

    boolean observesGates() {
        return observesGates;
    }

    /** The weight that is to be quantized: after its mask, before the rounding of training. */
    Tensor unrounded(String name) {
        Module plain = network.alias();
        plain.adopt(this);
        var rounding = new FakeQuantizedParameter(name);
        plain.unparametrize(name, rounding);
        return plain.value(name);
    }

    /** Makes what quantizes a weight: as training learned to, or as the configuration says. */
    ObserverFactory weightFactory(String name, Packing packing) {
        Module learned = namedChildren().get(new FakeQuantizedParameter(name).child());
        return learned == null ? packing.weight() : () -> learned.<Observer>copy();
    }

    @Override
    public boolean isAtomic() {
        return true;
    }

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        return network.multiplications(inputs, outputs);
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        boolean givenState = inputs.size() > 1;
        return shape.run(this, inputs, (x, state) -> run(x, state, givenState));
    }

    private List<Tensor> run(Tensor x, List<Tensor> state, boolean givenState) {
        Recurrent.Options options = shape.options();
        Tensor fed = options.batchFirst() ? x.transpose(0, 1) : x;
        List<List<Tensor>> last = new ArrayList<>();
        for (long layer = 0; layer < options.layers(); layer++) {
            long first = layer * shape.directions();
            List<Tensor> from =
                    state.stream().map(s -> s.narrow(0, first, shape.directions())).toList();
            if (layer > 0 && isTraining() && options.dropout() > 0) {
                fed = Functional.dropout(fed, options.dropout(), true);
            }
            List<Tensor> weights = weights(layer);
            List<Tensor> results = network.runLayer(fed, from, weights);
            if (observesGates) {
                observeGates(layer, fed, from.getFirst(), results.getFirst(), weights);
            }
            if (givenState) {
                hiddenObserver(layer).call(from.getFirst());
            }
            fed = hiddenObserver(layer).call(results.getFirst());
            last.add(results.subList(1, results.size()));
        }
        List<Tensor> outputs = new ArrayList<>();
        outputs.add(options.batchFirst() ? fed.transpose(0, 1) : fed);
        for (int i = 0; i < shape.kind().states(); i++) {
            int which = i;
            outputs.add(
                    torch.cat(
                            new TensorVector(
                                    last.stream()
                                            .map(states -> states.get(which))
                                            .toArray(Tensor[]::new)),
                            0));
        }
        return outputs;
    }

    private List<Tensor> weights(long layer) {
        List<Tensor> weights = new ArrayList<>();
        for (String suffix : shape.suffixes(layer)) {
            weights.add(value("weight_ih" + suffix));
            weights.add(value("weight_hh" + suffix));
            if (shape.options().bias()) {
                weights.add(value("bias_ih" + suffix));
                weights.add(value("bias_hh" + suffix));
            }
        }
        return weights;
    }

    /** Shows the observers what both weights give for each element of the sequences. */
    private void observeGates(
            long layer, Tensor fed, Tensor first, Tensor outputs, List<Tensor> weights) {
        boolean bias = shape.options().bias();
        long hidden = shape.hiddenSize();
        for (int d = 0; d < shape.directions(); d++) {
            String suffix = shape.suffixes(layer).get(d);
            Tensor own = outputs.narrow(2, d * hidden, hidden);
            long steps = own.size(0) - 1;
            Tensor start = first.narrow(0, d, 1);
            Tensor before =
                    d == 0
                            ? torch.cat(new TensorVector(start, own.narrow(0, 0, steps)), 0)
                            : torch.cat(new TensorVector(own.narrow(0, 1, steps), start), 0);
            int at = d * (bias ? 4 : 2);
            gatesObserver("ih" + suffix)
                    .call(
                            Functional.linear(
                                    fed, weights.get(at), bias ? weights.get(at + 2) : null));
            gatesObserver("hh" + suffix)
                    .call(
                            Functional.linear(
                                    before,
                                    weights.get(at + 1),
                                    bias ? weights.get(at + 3) : null));
        }
    }

    @Override
    protected String typeName() {
        return "Quantizable" + shape.kind();
    }

    @Override
    protected String extraRepr() {
        return shape.toString();
    }
}
