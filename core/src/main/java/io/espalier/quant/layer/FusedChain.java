package io.espalier.quant.layer;

import io.espalier.nn.Convolution;
import io.espalier.nn.Functional;
import io.espalier.nn.Linear;
import io.espalier.nn.Module;
import io.espalier.quant.observer.ObserverFactory;
import io.espalier.quant.observer.QuantizationParameters;
import io.espalier.tensor.EspalierException;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A linear layer or convolution of a graph with what follows it, as one float module: then its
 * second input is added where it has one, then the activation.
 */
public final class FusedChain extends Module {
    private static final String WEIGHT = "weight";

    private final Module layer;
    private final boolean adds;
    private final ChainActivation activation;
    private final @Nullable Packing packing;
    private final @Nullable RoundedWeight rounding;

    /**
     * A chain that stays in float.
     *
     * @param layer a linear layer or convolution
     * @param adds whether a second input is added to its result
     * @param activation what is computed of that
     */
    public FusedChain(Module layer, boolean adds, ChainActivation activation) {
        this(layer, adds, activation, null, null);
    }

    private FusedChain(
            Module layer,
            boolean adds,
            ChainActivation activation,
            @Nullable Packing packing,
            @Nullable RoundedWeight rounding) {
        this.layer = add("layer", layer);
        this.adds = adds;
        this.activation = activation;
        this.packing = packing;
        this.rounding = rounding;
    }

    /** The same chain, which is to be quantized. */
    public FusedChain packedAs(Packing given) {
        return new FusedChain(layer, adds, activation, given, null);
    }

    /**
     * The same chain in floats, its weight rounded to the integers that its kernel will have.
     *
     * @param place where it stands, for errors
     */
    public FusedChain rounded(String place) {
        Packing given = packing().orElseThrow();
        boolean transposed = layer instanceof Convolution convolution && convolution.isTransposed();
        ObserverFactory weight =
                transposed ? given.transposed(given.engine()).weight() : given.weight();
        IntegerWeight integers =
                IntegerWeight.of(place + "." + WEIGHT, layer.value(WEIGHT), weight);
        var rounding = new RoundedWeight(integers.parameters());
        Module alias = layer.alias();
        alias.parametrize(WEIGHT, rounding);
        return new FusedChain(alias, adds, activation, given, rounding);
    }

    /** The same chain with its weight as it was. */
    public FusedChain unrounded() {
        if (rounding == null) {
            return this;
        }
        Module alias = layer.alias();
        alias.unparametrize(WEIGHT, rounding);
        return new FusedChain(alias, adds, activation, packing, null);
    }

    /** How the weight's integers stand for numbers, where it is rounded to them. */
    public Optional<QuantizationParameters> weightParameters() {
        return Optional.ofNullable(rounding).map(RoundedWeight::parameters);
    }

    /** How the layer's weight is to become integers; empty if it stays in float. */
    public Optional<Packing> packing() {
        return Optional.ofNullable(packing);
    }

    /** A saved chain around its float layer. */
    static FusedChain read(Module layer, Map<String, String> attributes) {
        if (!(layer instanceof Linear) && !(layer instanceof Convolution)) {
            throw new EspalierException(
                    "a chain begins with a linear layer or convolution; there is a "
                            + layer.getClass().getSimpleName());
        }
        return new FusedChain(
                layer,
                Attributes.flag(attributes, "adds"),
                Attributes.choice(attributes, "activation", ChainActivation.class));
    }

    /** What a file must say of it. */
    Map<String, String> attributes() {
        if (packing != null) {
            throw new EspalierException(
                    "The graph is not converted yet: its "
                            + typeName()
                            + " still computes in floats; call GraphQuantization.convert, or lower"
                            + " a reference graph, before it is saved.");
        }
        return Map.of("adds", Boolean.toString(adds), "activation", activation.name());
    }

    /** The linear layer or convolution, a batch normalization folded in. */
    public Module layer() {
        return layer;
    }

    @Override
    protected @Nullable Tensor derivedValue(String parameter) {
        return layer.value(parameter);
    }

    /** Whether a second input is added to the layer's result. */
    public boolean adds() {
        return adds;
    }

    /** What is computed last. */
    public ChainActivation activation() {
        return activation;
    }

    @Override
    public long multiplications(List<long[]> inputs, List<long[]> outputs) {
        return layer.multiplications(inputs, outputs);
    }

    @Override
    public boolean isAtomic() {
        return layer.isAtomic();
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        Tensor y = layer.call(inputs.getFirst());
        if (adds) {
            y = Functional.add(y, inputs.get(1));
        }
        return List.of(activation.apply(y));
    }

    @Override
    protected String typeName() {
        String name = layer.getClass().getSimpleName();
        String rank = layer instanceof Linear ? "" : name.substring(name.length() - 2);
        return name.substring(0, name.length() - rank.length())
                + (adds ? "Add" : "")
                + activation.layerName()
                + rank;
    }
}
